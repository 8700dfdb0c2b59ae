"""What one question may cost, on the real engine: nobody else waits for it, and it ends when nobody waits for it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from clickhouse_connect.driver import Client
from litestar import Litestar, get

from deploy.http_server import bind, serve
from ledger.filtering.filter_text import MAX_FILTER_BYTES, MAX_RULES, parse_filter
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Statement
from ledger.ids import ProjectId
from ledger.request_log import Bodies
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore, open_client
from ledger.store.questions import Answer, Asking, Question, allowed
from query_api import listing
from query_api.conditions import Conditions
from query_api.errors import TooBusy, TooExpensive
from query_api.fairness import Lanes
from query_api.hang_ups import HangUps
from query_api.readers import Lane, Readers
from query_api.reading import Reader
from tests.support.builders import a_request_log
from tests.support.chdb_fixtures import with_schema
from tests.support.query_service import QueryService

ENDLESS = Statement("SELECT count() FROM numbers(1e15)", {})
QUICK = Statement("SELECT 1", {})
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1e15)%' AND query NOT LIKE '%system.%'"


@pytest.fixture
def pool(chdb_dsn: str) -> Iterator[ClickHousePool]:
    with closing(ClickHousePool(chdb_dsn, threads=3)) as opened:
        yield opened


def running(client: Client) -> int:
    return int(client.query(RUNNING).result_rows[0][0])


async def until_running(pool: ClickHousePool, count: int) -> None:
    async with asyncio.timeout(30):
        while await pool.aside().run(running) != count:  # noqa: ASYNC110 (the engine tells nobody)
            await asyncio.sleep(0.01)


async def given_up(*tasks: "asyncio.Task[object]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_flood_of_slow_questions_of_one_project_stops_no_other(pool: ClickHousePool) -> None:
    readers = Readers(pool, QueryCaps())
    flood = [asyncio.ensure_future(readers.of_project("shop").rows(ENDLESS)) for _ in range(20)]
    await until_running(pool, 2)
    for project in ("bank", "*", "bank"):
        assert await readers.of_project(project).rows(QUICK) == [(1,)]
    assert await readers.of_service().rows(QUICK) == [(1,)]
    assert not any(task.done() for task in flood)
    assert await pool.aside().run(running) == 2
    await given_up(*flood)
    await until_running(pool, 0)


async def test_a_question_that_nobody_waits_for_ends_in_the_engine(pool: ClickHousePool) -> None:
    readers = Readers(pool, QueryCaps(max_seconds=600))
    asked = asyncio.ensure_future(readers.of_project("shop").rows(ENDLESS))
    await until_running(pool, 1)
    await given_up(asked)
    await until_running(pool, 0)
    assert await readers.of_project("shop").rows(QUICK) == [(1,)]


async def test_the_same_over_http(clickhouse_database: str) -> None:
    with closing(ClickHousePool(clickhouse_database, threads=2)) as pool:
        readers = Readers(pool, QueryCaps(max_seconds=600))
        asked = asyncio.ensure_future(readers.of_project("shop").rows(ENDLESS))
        await until_running(pool, 1)
        assert await readers.of_project("bank").rows(QUICK) == [(1,)]
        await given_up(asked)
        await until_running(pool, 0)


async def test_too_many_that_wait_are_refused_and_told_to_come_back(pool: ClickHousePool) -> None:
    readers = Readers(pool, QueryCaps(max_waiting=3))
    waiting = [asyncio.ensure_future(readers.of_project("shop").rows(ENDLESS)) for _ in range(5)]
    await until_running(pool, 2)
    with pytest.raises(TooBusy):
        await readers.of_project("shop").rows(QUICK)
    assert await readers.of_project("bank").rows(QUICK) == [(1,)]
    await given_up(*waiting)
    await until_running(pool, 0)


async def test_all_statements_of_an_answer_share_its_time(pool: ClickHousePool) -> None:
    reader = Readers(pool, QueryCaps(max_seconds=1)).of_project("shop")
    with pytest.raises(TooExpensive, match="longer than 1 s"):
        await reader.rows(ENDLESS)
    with pytest.raises(TooExpensive, match="from, to"):
        await reader.rows(QUICK)
    assert await reader.renewed().rows(QUICK) == [(1,)]


async def test_more_rows_than_one_statement_may_bring_are_refused(pool: ClickHousePool) -> None:
    reader = Reader(pool, QueryCaps(max_rows=100_000))
    assert len(await reader.rows(Statement("SELECT number FROM numbers(100000)", {}))) == 100_000
    with pytest.raises(TooExpensive, match="smaller page"):
        await reader.rows(Statement("SELECT number FROM numbers(1000000)", {}))


async def test_limits_hold_against_a_profile_that_would_shorten_answers(chdb_dsn: str) -> None:
    profile = {"timeout_overflow_mode": "break", "result_overflow_mode": "break", "max_rows_to_read": 10}
    profile |= {"read_overflow_mode": "break", "max_block_size": 1}
    with closing(ClickHousePool(chdb_dsn, threads=1, settings=profile)) as pool, pytest.raises(TooExpensive):
        await Reader(pool, QueryCaps()).rows(Statement("SELECT number FROM numbers(100)", {}))


def test_a_user_who_may_change_nothing_is_left_to_its_profile(chdb_dsn: str) -> None:
    with closing(open_client(chdb_dsn)) as client:
        settings = {"max_execution_time": 3, "max_result_rows": 7, "readonly": 1}
        assert allowed(settings, client) == (settings, ())
        client.command("SET readonly = 1")
        found = client.query("SELECT name, value, readonly FROM system.settings").named_results()
        for row in found:
            client.server_settings[row["name"]] = client.server_settings[row["name"]]._replace(**row)
        assert allowed(settings, client) == ({}, ("max_execution_time", "max_result_rows"))
        answer = Question(QUICK, settings)(client)
    assert (list(answer.rows), answer.left_out) == ([(1,)], ("max_execution_time", "max_result_rows"))


def the_largest_filter() -> str:
    """As many rules as there may be, each on the bodies, with a full list and as much text as there may be."""
    many = ",".join(f"model-{number}" for number in range(1000))
    rules = [{"field": "model", "operator": "in", "value": many}]
    room = (MAX_FILTER_BYTES - len(many)) // MAX_RULES - 100
    rules += [
        {"field": "completion", "operator": "doesNotContain", "value": f"{n % 9}" * room} for n in range(1, MAX_RULES)
    ]
    text = json.dumps({"combinator": "and", "rules": rules}).replace(" ", "")
    assert MAX_FILTER_BYTES * 0.9 < len(text) <= MAX_FILTER_BYTES
    return text


@pytest.mark.parametrize("engine", ["chdb_dsn", "clickhouse_database"])
async def test_the_largest_filter_is_answered(engine: str, request: pytest.FixtureRequest) -> None:
    with closing(ClickHousePool(with_schema(request.getfixturevalue(engine)), threads=1)) as pool:
        store, row = ClickHouseStore(pool), a_request_log(model_requested="model-7", bodies=Bodies(completion="Hello"))
        await store.insert_bodies([row], "token")
        await store.insert_rows([row], "token")
        statement = listing.count(Conditions(filter=parse_filter(the_largest_filter())), Reach(ProjectId("shop")))
        assert await Reader(pool, QueryCaps()).count(statement) == 1


async def test_health_is_looked_at_while_every_thread_is_at_work(service: QueryService) -> None:
    many = [asyncio.ensure_future(Reader(service.pool, QueryCaps()).rows(ENDLESS)) for _ in range(2)]
    await until_running(service.pool, 2)
    ready = await service.get("/health/ready", "")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (200, "ok")
    await service.pool.aside().run(lambda client: client.query("KILL QUERY WHERE query LIKE '/* llmledger%' SYNC"))
    await asyncio.gather(*many, return_exceptions=True)


async def test_who_hangs_up_before_its_turn_is_not_asked_for_any_more(service: QueryService) -> None:
    many = [asyncio.ensure_future(Reader(service.pool, QueryCaps()).rows(ENDLESS)) for _ in range(service.pool.threads)]
    await until_running(service.pool, len(many))
    hung_up = asyncio.Event()
    messages: list[Any] = []

    async def receive() -> Any:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"host", b"ledger"), (b"authorization", service.keys.shop.encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/requests",
        "headers": headers,
    }
    scope |= {"scheme": "http", "query_string": b"", "root_path": "", "server": ("ledger", 80), "client": ("x", 1)}
    answering = asyncio.ensure_future(cast(Any, service.app)(scope, receive, send))
    hung_up.set()
    await answering
    assert (messages, await service.pool.aside().run(running)) == ([], len(many))
    await service.pool.aside().run(lambda client: client.query("KILL QUERY WHERE query LIKE '/* llmledger%' SYNC"))
    await asyncio.gather(*many, return_exceptions=True)


async def test_who_hangs_up_on_a_real_server_ends_the_statement_in_the_engine(pool: ClickHousePool) -> None:
    readers = Readers(pool, QueryCaps(max_seconds=600))

    @get("/slow")
    async def slow() -> int:
        return await readers.of_project("shop").count(ENDLESS)

    listener, stop = bind("127.0.0.1", 0), asyncio.Event()
    app = Litestar([slow], middleware=[HangUps], openapi_config=None, logging_config=None)
    serving = asyncio.create_task(serve(cast(Any, app), listener, stop, drain_seconds=1))
    reading, writing = await asyncio.open_connection(*listener.getsockname())
    writing.write(b"GET /slow HTTP/1.1\r\nHost: ledger\r\n\r\n")
    await until_running(pool, 1)
    writing.close()
    await writing.wait_closed()
    await until_running(pool, 0)
    stop.set()
    await serving
    assert await reading.read() == b""


@dataclass(frozen=True)
class Held(Question):
    """A question that keeps its thread until it is let go, and of which the engine knows nothing."""

    began: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, client: Client) -> Answer:
        self.began.set()
        self.let_go.wait(60)
        return Answer([], 0.0, ())


class Deaf(ClickHousePool):
    """A pool beside which no engine can be told anything."""

    def __init__(self, dsn: str, threads: int) -> None:
        super().__init__(dsn, threads=threads)
        self._nobody = ClickHousePool("http://127.0.0.1:9/nowhere", threads=1)

    def aside(self) -> ClickHousePool:
        return self._nobody


async def test_what_cannot_be_ended_keeps_its_slot_and_a_warning_says_so(
    chdb_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Deaf(chdb_dsn, threads=1)) as pool:
        lanes, held = Lanes(pool.threads, 64), Held(QUICK, {})
        asked = asyncio.ensure_future(Lane(lanes, Asking(pool), "shop").run(held))
        await asyncio.to_thread(held.began.wait, 30)
        await given_up(asked)
        after = asyncio.ensure_future(Lane(lanes, Asking(pool), "bank").run(Question(QUICK, {})))
        async with asyncio.timeout(30):
            while "could not be ended" not in caplog.text:  # noqa: ASYNC110 (a log tells nobody)
                await asyncio.sleep(0.01)
        assert not after.done()
        held.let_go.set()
        assert (await after).rows == [(1,)]
    pool.aside().close()
