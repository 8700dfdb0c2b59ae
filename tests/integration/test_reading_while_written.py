"""What is written while a page is being read takes no row out of it that belongs there before and after."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from ledger.clock import from_milliseconds
from ledger.filtering.query_text import parse_query
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.request_log import Bodies, RowKey
from ledger.settings import QueryCaps
from ledger.store.questions import Answer, Asking, Question
from query_api.conditions import Conditions
from query_api.newest import newest
from query_api.numbered import rows_of
from query_api.parameters import NumberedPage
from query_api.reading import Reader, Store
from query_api.sorting import SORTS
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import A_NOW, QueryService, query_service

SHOP = Reach(ProjectId("shop"))
MOST_STATEMENTS = 12
Write = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Interrupted:
    """A store in which something is written after so many statements have been answered."""

    store: Store
    statements: int
    write: Write
    asked: int = 0

    async def run(self, statement: Question) -> Answer:
        answer = await self.store.run(statement)
        self.asked += 1
        if self.asked == self.statements:
            await self.write()
        return answer


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        yield running


ROWS = [
    a_request_log(
        created_at=A_TIME + at // 2,
        id=an_id(A_TIME + at // 2, at),
        updated_at=A_TIME + at,
        cost=at % 3,
        status_code=None if at == 4 else 200 + at,
        total_tokens=7 - at,
        duration_ms=float(at),
        bodies=Bodies(prompt=f"the quick fox {at}", completion="done"),
    )
    for at in range(8)
]
CHANGED = [
    replace(
        log,
        version=log.version + 1,
        updated_at=log.updated_at + 1000,
        cost=9,
        status_code=299 if log.status_code is None else None,
        total_tokens=None,
        duration_ms=None,
        cached=not log.cached,
        http_url="http://example.org/",
        http_ip="10.0.0.9",
        http_method="GET",
        bodies=Bodies(prompt=f"a quick brown fox {at}", completion="done, too"),
    )
    for at, log in enumerate(ROWS)
]
DELETED = [replace(log, version=log.version + 2, is_deleted=True, bodies=Bodies()) for log in ROWS[3:5]]
Ask = Callable[[Reader], Awaitable[list[RowKey]]]


def newest_first(conditions: Conditions, after: RowKey | None = None, limit: int = 20) -> Ask:
    async def ask(reader: Reader) -> list[RowKey]:
        rows = (await newest(conditions, SHOP, reader, after=after, limit=limit, clock=lambda: A_NOW)).rows
        return [row.key for row in rows]

    return ask


def numbered(sort_by: str, *, ascending: bool, size: int = 20) -> Ask:
    async def ask(reader: Reader) -> list[RowKey]:
        page = NumberedPage(Conditions(), SORTS[sort_by], ascending, size)
        return [row.key for row in await rows_of(page, SHOP, reader, lambda: A_NOW)]

    return ask


def q(text: str) -> Conditions:
    return Conditions(query=parse_query(text))


LISTS = {
    "all": newest_first(Conditions()),
    "a field": newest_first(q('user:"user:"*')),
    "a user": newest_first(Conditions(user_id="user:1")),
    "words": newest_first(q("quick fox")),
    "words and a field": newest_first(q("quick has:user")),
    "not these words": newest_first(q("-slow")),
    "a search": newest_first(Conditions(search="quick")),
    "a header": newest_first(q("-header.x-team:blue")),
}
ORDERS = {
    f"{sort_by} {'ascending' if ascending else 'descending'}": numbered(sort_by, ascending=ascending)
    for sort_by, ascending in (
        ("updatedAt", False),
        ("url", True),
        ("status", True),
        ("status", False),
        ("cost", False),
    )
}


async def stored(service: QueryService) -> None:
    await service.clear()
    await service.add(*ROWS)


async def interrupted_everywhere(service: QueryService, ask: Ask, write: Write) -> list[list[RowKey]]:
    """The answers when the write comes after the first statement, after the second, and so on to the last."""
    answers = []
    for statements in range(1, MOST_STATEMENTS):
        await stored(service)
        store = Interrupted(Asking(service.pool), statements, write)
        answers.append(await ask(Reader(store, QueryCaps())))
        if store.asked <= statements:
            return answers
    pytest.fail("a page takes more statements than anybody thought")


@pytest.mark.parametrize("name", [*LISTS, *ORDERS])
async def test_a_change_that_comes_between_takes_no_row_out_of_the_page(service: QueryService, name: str) -> None:
    async def change() -> None:
        await service.add(*CHANGED[2:6])

    answers = await interrupted_everywhere(service, {**LISTS, **ORDERS}[name], change)
    assert len(answers) > 1
    for answer in answers:
        assert len(answer) == len(ROWS)
        assert {*answer} == {log.key for log in ROWS}


@pytest.mark.parametrize("name", ["a field", "words", "not these words"])
async def test_a_merge_or_a_deletion_that_comes_between_takes_no_other_row_out_of_the_page(
    service: QueryService, name: str
) -> None:
    async def delete_and_merge() -> None:
        await service.add(*DELETED)
        month = from_milliseconds(A_TIME).strftime("%Y%m")
        for table in ("request_bodies", "request_logs"):
            sql = f"OPTIMIZE TABLE {table} PARTITION {month} FINAL"
            await service.pool.run(lambda client, sql=sql: client.command(sql))  # type: ignore[misc]

    others = {log.key for log in [*ROWS[:3], *ROWS[5:]]}
    for answer in await interrupted_everywhere(service, LISTS[name], delete_and_merge):
        assert len(answer) == len({*answer})
        assert others <= {*answer} <= {log.key for log in ROWS}


@pytest.mark.parametrize("conditions", [q("quick"), q("-slow"), q("has:user")])
async def test_a_page_in_the_middle_is_the_same_whatever_changes_meanwhile(
    service: QueryService, conditions: Conditions
) -> None:
    async def change() -> None:
        await service.add(*CHANGED)

    in_order = [log.key for log in reversed(ROWS)]
    ask = newest_first(conditions, in_order[1], 3)
    assert all(answer == in_order[2:5] for answer in await interrupted_everywhere(service, ask, change))
