"""When an aggregate may be kept and used again: never across a change of the parts that can hold its rows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from ledger.filtering.reach import Reach
from ledger.filtering.retained import Retained
from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from ledger.settings import QueryCaps
from ledger.store import StoreBroken
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.questions import Answer, Asking, PastACap, Question
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.cache import CacheLimits
from query_api.aggregates.counting import count
from query_api.conditions import Conditions
from query_api.errors import TooExpensive
from query_api.reading import Reader
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.chdb_fixtures import fresh_database, with_schema

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
SHOP, BANK = Reach(ProjectId("shop")), Reach(ProjectId("bank"))
DAY_MS = 24 * 3600 * 1000
Meddle = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class WatchedStore:
    """The store, whose statements are counted and may be met by trouble."""

    asking: Asking
    meddle: Meddle | None = None  # once, when the rows are about to be read
    parts_can_be_read: bool = True
    statements: list[str] = field(default_factory=list)

    async def run(self, question: Question) -> Answer:
        sql = question.statement.sql
        self.statements.append(sql)
        if "system.parts" in sql and not self.parts_can_be_read:
            raise StoreBroken("The store answered code 497.")
        if "request_logs FINAL" in sql and self.meddle:
            meddle, self.meddle = self.meddle, None
            await meddle()
        return await self.asking.run(question)

    def reads_of_rows(self) -> int:
        return sum("request_logs FINAL" in sql for sql in self.statements)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a test needs: somewhere to write, and a count that is asked through one cache."""

    pool: ClickHousePool
    watched: WatchedStore
    aggregates: Aggregates

    async def add(self, *logs: RequestLog, token: str) -> None:
        await ClickHouseStore(self.pool).insert_rows(logs, token)

    async def told(self, reach: Reach = SHOP, conditions: Conditions | None = None) -> int:
        reader = Reader(self.watched, QueryCaps())
        return await count(conditions or Conditions(), reach, self.aggregates, reader)

    def parts(self) -> list[str]:
        sql = (
            "SELECT name FROM system.parts WHERE active AND database = currentDatabase() AND table = 'request_logs'"
            " ORDER BY min_block_number"
        )
        return [str(row[0]) for row in self.pool.run_here(lambda client: client.query(sql).result_rows)]

    def command(self, statement: str) -> None:
        self.pool.run_here(lambda client: client.command(statement))


@pytest.fixture
def bench(chdb_engine: str) -> Iterator[Bench]:
    with fresh_database(chdb_engine) as dsn:
        pool = ClickHousePool(with_schema(dsn), threads=3)
        try:
            yield Bench(pool, WatchedStore(Asking(pool)), Aggregates(lambda: NOW))
        finally:
            pool.close()


def a_call(number: int, day: int = 0, project: str = "shop") -> RequestLog:
    created_at = A_TIME + day * DAY_MS
    return a_request_log(created_at=created_at, id=an_id(created_at, number), project=ProjectId(project))


async def test_what_was_asked_before_is_not_read_again_until_something_is_written(bench: Bench) -> None:
    await bench.add(a_call(1), a_call(2), token="a")
    assert [await bench.told() for _ in range(3)] == [2, 2, 2]
    assert bench.watched.reads_of_rows() == 1
    await bench.add(a_call(3), token="b")
    assert [await bench.told() for _ in range(2)] == [3, 3]
    assert bench.watched.reads_of_rows() == 2


async def test_only_the_days_that_were_written_to_are_read_again(bench: Bench) -> None:
    await bench.add(a_call(1), a_call(2, day=1), a_call(3, day=2), a_call(4, day=-40), token="a")
    assert await bench.told() == 4
    await bench.add(a_call(5, day=2), token="b")
    bench.command("OPTIMIZE TABLE request_logs PARTITION 202602 FINAL")
    assert await bench.told() == 5
    last = bench.watched.statements[-2]
    assert "request_logs FINAL" in last
    assert last.count("toInt64(17") == 2  # the start of that day and of the month that was merged


async def test_an_answer_that_rows_came_into_is_not_kept(bench: Bench) -> None:
    await bench.add(a_call(1), token="a")
    (first,) = bench.parts()
    bench.watched.meddle = lambda: bench.add(a_call(2), token="b")
    assert await bench.told() == 2
    (second,) = set(bench.parts()) - {first}
    bench.command(f"ALTER TABLE request_logs DROP PART '{second}'")
    assert bench.parts() == [first]
    assert await bench.told() == 1


async def test_names_of_parts_that_come_back_with_other_content_are_told_apart(bench: Bench) -> None:
    await bench.add(a_call(1), token="a")
    assert await bench.told() == 1
    before = bench.parts()
    made = str(bench.pool.run_here(lambda client: client.query("SHOW CREATE TABLE request_logs").result_rows[0][0]))
    bench.command("DROP TABLE request_logs SYNC")
    bench.command(made)
    await bench.add(a_call(1), a_call(2), token="a")
    assert bench.parts() == before
    assert await bench.told() == 2


async def test_few_and_many_matches_are_counted_alike(bench: Bench) -> None:
    days = [replace(a_call(number, day=number % 5), user_id="few") for number in range(20)]
    many = [replace(a_call(100 + number), created_at=A_TIME + number, user_id="many") for number in range(2100)]
    await bench.add(*days, *many, token="a")
    await bench.add(*(replace(log, version=2, user_id="nobody") for log in (*days[:3], *many[:5])), token="b")
    await bench.add(*(replace(log, version=3, is_deleted=True) for log in (*days[2:6], *many[3:7])), token="c")
    await bench.add(*days, *many[:100], token="d")
    told = [await bench.told(conditions=Conditions(user_id=user)) for user in ("few", "many", "nobody", "nothing")]
    assert told == [14, 2093, 5, 0]
    assert bench.watched.reads_of_rows() == 1  # of the many


async def test_texts_that_come_before_their_row_are_seen_at_once(bench: Bench) -> None:
    before, after = (replace(a_call(1), bodies=Bodies(prompt=text), version=n) for n, text in enumerate(["hay", "pin"]))
    store = ClickHouseStore(bench.pool)
    await store.insert_bodies([before], "a")
    await store.insert_rows([before], "a")
    looking = Conditions(search="pin")
    assert await bench.told(conditions=looking) == 0
    await store.insert_bodies([after], "b")
    assert await bench.told(conditions=looking) == 1
    await store.insert_rows([replace(after, is_deleted=True)], "b")
    assert await bench.told(conditions=looking) == 0


async def test_where_parts_cannot_be_read_nothing_is_kept_and_answers_are_right(bench: Bench) -> None:
    bench.watched.parts_can_be_read = False
    assert await bench.told() == 0
    await bench.add(a_call(1), token="a")
    assert [await bench.told(), await bench.told()] == [1, 1]
    assert bench.watched.reads_of_rows() == 3
    assert await bench.told(conditions=Conditions(created_from=A_TIME + 1, created_before=A_TIME)) == 0


async def test_two_projects_and_all_of_them_share_nothing(bench: Bench) -> None:
    await bench.add(a_call(1), a_call(2, project="bank"), a_call(3, project="bank"), token="a")
    for _ in range(2):
        assert [await bench.told(reach) for reach in (SHOP, BANK, Reach(None))] == [1, 2, 3]


async def test_calls_that_are_kept_no_longer_are_not_counted_and_the_rest_is_from_the_cache(bench: Bench) -> None:
    await bench.add(*(a_call(number, day=number) for number in range(4)), token="a")
    assert await bench.told() == 4
    since = (A_TIME // DAY_MS + 2) * DAY_MS
    for retained in (Retained(others=since), Retained(others=None, of=((ProjectId("shop"), since),))):
        assert await bench.told(Reach(ProjectId("shop"), retained)) == 2
    assert bench.watched.reads_of_rows() == 1
    differing = Retained(others=since + DAY_MS, of=((ProjectId("bank"), since),))
    assert await bench.told(Reach(None, differing)) == 1


async def test_what_several_ask_at_once_is_read_once(bench: Bench) -> None:
    await bench.add(a_call(1), token="a")
    assert await asyncio.gather(*(bench.told() for _ in range(8))) == [1] * 8
    assert bench.watched.reads_of_rows() == 1


async def test_who_waited_for_a_read_that_failed_reads_for_itself(bench: Bench) -> None:
    await bench.add(a_call(1), token="a")

    async def fail() -> None:
        raise PastACap(159, 20.0)

    bench.watched.meddle = fail
    told = await asyncio.gather(bench.told(), bench.told(), return_exceptions=True)
    assert [type(answer) for answer in sorted(told, key=str)] == [int, TooExpensive]
    assert 1 in told


async def test_what_was_read_before_it_took_too_long_need_not_be_read_again(bench: Bench) -> None:
    await bench.add(*(a_call(1, day=day) for day in (-200, -170, -140, -110, 0)), token="a")

    async def fail_the_next_but_one() -> None:
        bench.watched.meddle = fail

    async def fail() -> None:
        raise PastACap(159, 20.0)

    bench.watched.meddle = fail_the_next_but_one
    with pytest.raises(TooExpensive):
        await bench.told()
    before = bench.watched.reads_of_rows()
    assert await bench.told() == 5
    assert bench.watched.reads_of_rows() - before == 1


async def test_a_cache_without_room_changes_nothing(bench: Bench) -> None:
    await bench.add(a_call(1), token="a")
    small = Aggregates(lambda: NOW, CacheLimits(max_bytes=1))
    reader = Reader(bench.watched, QueryCaps())
    assert [await count(Conditions(), SHOP, small, reader) for _ in range(2)] == [1, 1]
    assert bench.watched.reads_of_rows() == 2
