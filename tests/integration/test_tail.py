"""The live tail over real connections and chDB: what is sent, what is not, how a stream begins, ends and goes on."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.key_file import edit
from ledger.keys import without_key
from ledger.request_log import Bodies, RequestLog
from ledger.retention import Policy
from ledger.settings import QueryCaps
from query_api import views
from query_api.tail.windows import MOST_NAMED
from tests.support.chdb_fixtures import with_schema
from tests.support.tailing import BANK, NOW_MS, PATH, QUICK, SHOP, Bus, Served, Tail, Told, served


@pytest.fixture
async def service(chdb_schema_dsn: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(chdb_schema_dsn, tmp_path) as running:
        yield running


def ids(rows: list[Any]) -> list[str]:
    return [row["id"] for row in rows]


async def test_a_call_is_sent_once_it_is_settled_and_not_before(service: Served) -> None:
    first = await service.bus.call()
    async with service.tail() as tail:
        await service.bus.settle()
        assert ids(await tail.take(1)) == [first.id]
        second = await service.bus.call(model_requested="gpt-4.1")
        await service.bus.settle()
        (row,) = await tail.take(1)
    assert (row["id"], row["model_requested"], row["prompt_preview"]) == (second.id, "gpt-4.1", "Say hello")


async def test_what_was_settled_before_is_not_sent_unless_it_is_asked_for(service: Served) -> None:
    old = await service.bus.call(created_at=NOW_MS - 3_600_000)
    before = await service.bus.call()
    await service.bus.settle()
    async with (
        service.tail() as plain,
        service.tail({"from": "now-10m"}) as recent,
        service.tail({"from": "now-2h"}) as all_,
    ):
        new = await service.bus.call()
        await service.bus.settle()
        assert ids(await plain.take(1)) == [new.id]
        assert ids(await recent.take(2)) == [before.id, new.id]
        assert ids(await all_.take(3)) == [old.id, before.id, new.id]


async def test_a_changed_call_comes_again_as_it_is_now(service: Served) -> None:
    async with service.tail() as tail:
        log = await service.bus.call()
        await service.bus.settle()
        await tail.take(1)
        await service.bus.update(log, cost=1)
        changed = await service.bus.update(log, cost=7_000_000_000_000)
        await service.bus.settle()
        other = await service.bus.call()
        await service.bus.settle()
        again, after = await tail.take(2)
    assert (again["id"], again["cost"], after["id"]) == (changed.id, "7", other.id)


async def test_a_call_that_changes_before_it_is_settled_comes_once(service: Served) -> None:
    async with service.tail() as tail:
        log = await service.bus.call()
        await service.bus.update(log, cost=2_000_000_000_000)
        await service.bus.settle()
        last = await service.bus.call()
        await service.bus.settle()
        once, after = await tail.take(2)
    assert (once["id"], once["cost"], after["id"]) == (log.id, "2", last.id)


async def test_deleted_calls_are_not_sent(service: Served) -> None:
    async with service.tail() as tail:
        log = await service.bus.call()
        await service.bus.update(log, is_deleted=True)
        kept = await service.bus.call()
        await service.bus.settle()
        assert ids(await tail.take(1)) == [kept.id]


async def test_calls_of_another_project_are_never_sent(service: Served) -> None:
    async with (
        service.tail() as shop,
        service.tail(key=service.keys.bank) as bank,
        service.tail(key=service.keys.everything) as all_,
    ):
        made = [await service.bus.call(project=project) for project in (SHOP, BANK, SHOP)]
        await service.bus.settle()
        assert ids(await all_.take(3)) == ids_of(made)
        assert ids(await shop.take(2)) == ids_of([made[0], made[2]])
        assert ids(await bank.take(1)) == ids_of([made[1]])
        end = [await service.bus.call(project=project) for project in (BANK, SHOP)]
        await service.bus.settle()
        assert ids(await shop.take(1)) == ids_of(end[1:])
        assert ids(await bank.take(1)) == ids_of(end[:1])


def ids_of(logs: list[RequestLog]) -> list[str]:
    return [log.id for log in logs]


@pytest.mark.parametrize(
    "query",
    [{"user_id": "u2"}, {"search": "needle"}, {"filter": '{"model": "wanted"}'}, {"q": "model:wanted needle"}],
)
async def test_only_calls_that_fulfil_the_conditions_are_sent(service: Served, query: dict[str, str]) -> None:
    async with service.tail(query) as tail:
        for number in range(3):
            await service.bus.call()
            wanted = await service.bus.call(user_id="u2", model_requested="wanted", bodies=with_prompt("a Needle"))
            await service.bus.settle()
            assert ids(await tail.take(1)) == [wanted.id], number


def with_prompt(text: str) -> Bodies:
    return Bodies(prompt=text)


@dataclass(slots=True)
class Story:
    """Calls that are made, changed and settled at random; the cost of a call tells its versions apart."""

    bus: Bus
    luck: random.Random
    calls: dict[str, RequestLog] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)  # id → the cost that can be read
    versions: int = 0

    async def goes_on(self) -> None:
        """A few events, and perhaps they are settled."""
        for _ in range(self.luck.randrange(1, 5)):
            self.versions += 1
            cost = self.versions * 10**12
            if self.calls and self.luck.random() < 0.4:
                log = await self.bus.update(self.luck.choice(list(self.calls.values())), cost=cost)
            else:
                log = await self.bus.call(self.luck.randrange(3), cost=cost)
            self.calls[log.id] = log
        if self.luck.random() < 0.7:
            await self.settles()

    async def settles(self) -> None:
        """All of it can be read."""
        await self.bus.settle()
        self.settled = {id_: str((log.cost or 0) // 10**12) for id_, log in self.calls.items()}

    def owed(self, sent: list[tuple[str, str]]) -> int:
        """How many calls have still to be sent for certain."""
        current = {id_: str((log.cost or 0) // 10**12) for id_, log in self.calls.items()}
        return sum(cost == current[id_] and (id_, cost) not in sent for id_, cost in self.settled.items())


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_lost_or_repeated_however_often_the_reader_is_cut_off(service: Served, seed: int) -> None:
    story, last_id = Story(service.bus, random.Random(seed)), ""
    sent: list[tuple[str, str]] = []

    async def read(tail: Tail, count: int) -> None:
        sent.extend((row["id"], row["cost"]) for row in await tail.take(count))

    async with service.tail() as tail:
        last_id = tail.last_id or ""
    for _ in range(6):
        await story.goes_on()
        async with service.tail({"rate": 500}, last_id=last_id) as tail:
            await story.goes_on()
            await read(tail, story.luck.randrange(story.owed(sent) + 1))
            last_id = tail.last_id or ""
    await story.settles()
    async with service.tail({"rate": 500}, last_id=last_id) as tail:
        await read(tail, story.owed(sent))
        assert story.owed(sent) == 0
        end = await service.bus.call()
        await service.bus.settle()
        assert ids(await tail.take(1)) == [end.id]
    assert len(set(sent)) == len(sent)
    assert dict(sent) == story.settled  # the last version of each that was sent is the one that stands


async def test_a_resumed_reader_gets_everything_at_its_pace_and_a_new_one_only_the_newest(service: Served) -> None:
    async with service.tail() as tail:
        last_id = tail.last_id or ""
        await service.bus.put(*service.bus.many(70), *service.bus.many(50, partition=1))
        await service.bus.settle()
        skipped, rows = await skipped_and_rows(tail, 50)
    assert skipped.data["count"] == 70
    assert (skipped.data["from"], skipped.data["to"]) == (iso(service, 1), iso(service, 70))
    assert [row["created_at"] for row in rows] == [iso(service, number) for number in range(71, 121)]
    async with service.tail({"rate": 100}, last_id=last_id) as tail:
        whole = await tail.take(120)
    assert [row["created_at"] for row in whole] == [iso(service, number) for number in range(1, 121)]
    async with service.tail(last_id=skipped.id or "") as tail:
        assert await tail.take(50) == rows  # what was said to be skipped stays so


def iso(service: Served, number: int) -> str:
    return views.iso(NOW_MS - 1_000_000 + number)


async def skipped_and_rows(tail: Tail, count: int) -> tuple[Told, list[Any]]:
    event = await tail.next()
    assert event is not None
    assert event.name == "skipped", event
    return event, await tail.take(count)


async def test_of_a_backlog_that_is_too_large_the_newest_are_sent_and_the_others_counted(
    chdb_schema_dsn: str, tmp_path: Path
) -> None:
    async with served(chdb_schema_dsn, tmp_path, replace(QUICK, backlog_rows=20)) as service:
        for count in (15, MOST_NAMED):
            first, last = service.bus.made + 1, service.bus.made + 2 * count
            await service.bus.put(*service.bus.many(count), *service.bus.many(count, partition=1))
            await service.bus.settle()
            async with service.tail({"from": views.iso(NOW_MS - 1_000_000 + first)}) as tail:
                skipped, rows = await skipped_and_rows(tail, 20)
            assert skipped.data == {"count": 2 * count - 20, "from": iso(service, first), "to": iso(service, last - 20)}
            assert [row["created_at"] for row in rows] == [
                iso(service, number) for number in range(last - 19, last + 1)
            ]
            async with service.tail(last_id=skipped.id) as tail:
                assert await tail.take(20) == rows  # what was counted once is not counted again


async def test_who_was_away_for_more_than_a_day_is_told_so(service: Served) -> None:
    async with service.tail() as tail:
        last_id = tail.last_id or ""
    old = await service.bus.call()
    service.ahead[0] = timedelta(days=1, hours=1)
    new = await service.bus.call(ingested_at=NOW_MS + 86_400_000)
    await service.bus.settle()
    async with service.tail(last_id=last_id) as tail:
        skipped, rows = await skipped_and_rows(tail, 1)
        assert skipped.data == {"count": None, "from": "2026-04-01T00:00:00.000Z", "to": "2026-04-01T01:00:00.000Z"}
        assert ids(rows) == [new.id]
        await service.bus.update(old, cost=1)
        again = await service.bus.update(new, cost=1)
        await service.bus.settle()
        assert ids(await tail.take(1)) == [again.id]  # what was accepted more than a day ago is not looked for


async def test_a_beginning_more_than_a_day_ago_is_told_to_be_incomplete(service: Served) -> None:
    call = await service.bus.call()
    await service.bus.settle()
    async with service.tail({"from": "now-2d"}) as tail:
        skipped, rows = await skipped_and_rows(tail, 1)
    assert skipped.data == {"count": None, "from": "2026-03-30T00:00:00.000Z", "to": "2026-03-31T00:00:00.000Z"}
    assert ids(rows) == [call.id]


async def test_a_call_that_is_reported_long_after_it_was_made_is_sent(service: Served) -> None:
    async with service.tail() as tail, service.tail({"search": "hello"}) as searching:
        late = await service.bus.call(created_at=NOW_MS - 400 * 86_400_000)
        now = await service.bus.call()
        await service.bus.settle()
        assert ids(await tail.take(2)) == [late.id, now.id]
        assert ids(await searching.take(2)) == [late.id, now.id]


async def test_the_place_of_a_beginning_in_the_past_is_kept_by_who_resumes(service: Served) -> None:
    await service.bus.call(created_at=NOW_MS - 7_200_000)
    wanted = await service.bus.call(created_at=NOW_MS - 1_800_000)
    await service.bus.settle()
    beginning = (await service.ask({"from": "now-1h"})).text.split("id: ")[1].split("\n")[0]
    async with service.tail({"last_event_id": "ignored"}, last_id=beginning) as tail:
        assert ids(await tail.take(1)) == [wanted.id]
    async with service.tail({"last_event_id": beginning}) as tail:
        assert ids(await tail.take(1)) == [wanted.id]


async def test_a_quiet_stream_is_kept_open_and_says_how_far_it_has_looked(service: Served) -> None:
    async with service.tail({"user_id": "nobody"}) as tail:
        beginning = tail.last_id
        await service.bus.call()
        await service.bus.settle()
        wanted = asyncio.create_task(tail.next())
        async with asyncio.timeout(20):
            while tail.last_id == beginning:  # noqa: ASYNC110 (a heartbeat calls nobody)
                await asyncio.sleep(0.01)
        last = await service.bus.call(user_id="nobody")
        await service.bus.settle()
        event = await wanted
    assert tail.heartbeats >= 1
    assert event is not None
    assert event.data["id"] == last.id


async def test_a_key_that_is_taken_out_of_force_ends_its_streams(service: Served) -> None:
    async with service.tail() as tail, service.tail(key=service.keys.bank) as other:
        key_id = service.keys.shop.split("_")[2]
        edit(service.keys.file, lambda content: without_key(content, key_id))
        event = await tail.next()
        assert event is not None
        assert (event.name, event.data) == ("error", {"error": "The API key is not known."})
        assert await tail.next() is None
        log = await service.bus.call(project=BANK)
        await service.bus.settle()
        assert ids(await other.take(1)) == [log.id]


async def test_an_open_stream_shows_what_is_kept_now_and_not_what_was_kept_when_it_began(service: Served) -> None:
    book = service.app.dependencies["retention_book"].dependency()  # type: ignore[union-attr]
    long_ago = NOW_MS - 100 * 86_400_000
    async with service.tail() as tail:
        first = await service.bus.call(created_at=long_ago)
        await service.bus.settle()
        assert ids(await tail.take(1)) == [first.id]
        await book.set(Policy(SHOP, 30, NOW_MS, "k"), is_set=True)
        try:
            wanted = asyncio.create_task(tail.next())
            async with asyncio.timeout(20):
                while tail.heartbeats < 2:  # noqa: ASYNC110 (between two heartbeats the key was looked at)
                    await asyncio.sleep(0.01)
            await service.bus.call(created_at=long_ago + 1)
            last = await service.bus.call()
            await service.bus.settle()
            event = await wanted
        finally:
            await book.set(Policy(SHOP, 30, NOW_MS + 1, "k"), is_set=False)
    assert event is not None
    assert event.data["id"] == last.id


async def test_the_service_stops_although_tails_are_open(service: Served) -> None:
    async with service.tail() as tail, service.tail() as other:
        service.stop.set()
        assert await tail.next() is None
        assert await other.next() is None
    async with asyncio.timeout(10):  # well below the time that requests under way are given
        await service.serving
    await service.until_open(0)


async def test_who_is_gone_leaves_its_seat(service: Served) -> None:
    async with service.tail():
        await service.until_open(1)
    await service.until_open(0)


async def test_a_reader_that_takes_nothing_holds_up_nobody(chdb_schema_dsn: str, tmp_path: Path) -> None:
    async with served(chdb_schema_dsn, tmp_path, drain_seconds=1) as service:
        head = f"GET {PATH}?rate=500&from=now-1h HTTP/1.1\r\nhost: x\r\nx-api-key: {service.keys.shop}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", service.port)) as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.sendall(head.encode())
            await service.until_open(1)
            await service.bus.put(*(msgspec.structs.replace(log, error="x" * 20_000) for log in service.bus.many(400)))
            await service.bus.settle()
            async with service.tail() as tail:
                log = await service.bus.call()
                await service.bus.settle()
                assert ids(await tail.take(1)) == [log.id]
            service.stop.set()
            async with asyncio.timeout(10):
                await service.serving
            await service.until_open(0)


async def test_only_so_many_are_open_at_the_same_time(chdb_schema_dsn: str, tmp_path: Path) -> None:
    async with served(chdb_schema_dsn, tmp_path, replace(QUICK, of_project=1, in_all=2)) as service:
        async with service.tail():
            refused = await service.ask()
            assert (refused.status_code, "tails" in refused.json()["error"]) == (429, True)
            assert int(refused.headers["retry-after"]) >= 1
            async with service.tail(key=service.keys.bank):
                assert (await service.ask(key=service.keys.everything)).status_code == 429
        await service.until_open(0)
        assert (await service.ask()).status_code == 200


async def test_a_store_that_is_away_is_waited_for_and_what_came_meanwhile_is_sent_whole(service: Served) -> None:
    async with service.tail({"rate": 100}) as tail:
        await service.run("RENAME TABLE bus_progress TO away")
        event = await tail.next()
        assert event is not None
        assert event.name == "waiting"
        logs = service.bus.many(120)
        await service.bus.put(*logs)
        await service.run("RENAME TABLE away TO bus_progress")
        await service.bus.settle()
        assert ids(await tail.take(120)) == ids_of(logs)


async def test_a_question_that_costs_too_much_ends_the_stream_with_the_advice(
    chdb_schema_dsn: str, tmp_path: Path
) -> None:
    async with served(chdb_schema_dsn, tmp_path, caps=QueryCaps(max_rows=3)) as service, service.tail() as tail:
        await service.bus.put(*service.bus.many(10))
        await service.bus.settle()
        event = await tail.next()
        assert event is not None
        assert (event.name, "narrow" in event.data["error"] or "smaller" in event.data["error"]) == ("error", True)
        assert await tail.next() is None


@pytest.mark.clickhouse
async def test_it_is_the_same_over_clickhouses_http_interface(clickhouse_database: str, tmp_path: Path) -> None:
    async with served(with_schema(clickhouse_database), tmp_path) as service:
        async with service.tail({"q": "model:wanted needle"}) as tail:
            last_id = tail.last_id
            await service.bus.call(model_requested="wanted")
            first = await service.bus.call(model_requested="wanted", bodies=with_prompt("a Needle"))
            await service.bus.put(*service.bus.many(2 * MOST_NAMED, partition=1))
            await service.bus.settle()
            assert ids(await tail.take(1)) == [first.id]
            changed = await service.bus.update(first, cost=1)
            await service.bus.settle()
            assert ids(await tail.take(1)) == [changed.id]
        async with service.tail({"q": "model:wanted needle"}, last_id=last_id) as tail:
            assert ids(await tail.take(1)) == [changed.id]


WRONG = [
    {"rate": "0"},
    {"rate": "501"},
    {"rate": "many"},
    {"seconds": "-1"},
    {"from": "yesterday"},
    {"to": "now"},
    {"filter": "{"},
    {"filter": '{"nothing": 1}'},
    {"q": "model:"},
    {"last_event_id": "x"},
    {"last_event_id": "é"},
    {"last_event_id": "A" * 40_000},
]


async def test_what_cannot_be_understood_is_refused_before_the_stream_begins(service: Served) -> None:
    for query in WRONG:
        answer = await service.ask(query)
        (name,) = query
        wanted = "Last-Event-ID" if name == "last_event_id" else name
        assert (answer.status_code, wanted in answer.json()["error"]) == (400, True), answer.text
    answer = await service.ask(last_id="42")
    assert (answer.status_code, "Last-Event-ID" in answer.json()["error"]) == (400, True)


async def test_without_a_key_that_may_read_there_is_no_stream(service: Served) -> None:
    for key in ("nobody", service.keys.ingest_only, service.keys.admin):
        assert (await service.ask(key=key)).status_code == 401
