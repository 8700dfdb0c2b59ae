"""Whatever is stored and whatever is asked: the list answers what a plain model of it says."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ledger.request_log import RequestLog
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.listing_model import Asked, current, expected
from tests.support.listing_strategies import ASKED, FILTERS, RULES, WORDS, many_rows, writes
from tests.support.query_service import QueryService, query_service

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # add Phase.shrink to look into a failure: it takes minutes
    print_blob=True,
)


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    """One service for all examples; each example clears the tables."""
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        yield running


async def stored(service: QueryService, batches: list[list[RequestLog]]) -> list[RequestLog]:
    """Only what is written in this example is there."""
    await service.clear()
    for batch in batches:
        await service.add(*batch)
    return [log for batch in batches for log in batch]


def of_project(logs: list[RequestLog], project: str) -> list[RequestLog]:
    return [log for log in logs if log.project == project]


@pytest.fixture(scope="module")
def rich(chdb_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueryService, list[RequestLog]]]:
    """A service over a fixed set of many rows, half of them written a second time."""
    logs = many_rows(120, seed=11)
    with (
        fresh_database(chdb_engine) as dsn,
        query_service(with_schema(dsn), tmp_path_factory.mktemp("rich")) as running,
    ):
        asyncio.run(running.add(*logs[: len(logs) // 2]))
        asyncio.run(running.add(*logs[len(logs) // 2 :]))
        yield running, logs


@settings(EXAMPLES, max_examples=200)
@given(filter=RULES | FILTERS)
async def test_a_filter_finds_what_the_model_says_among_many_rows(
    rich: tuple[QueryService, list[RequestLog]], filter: dict[str, Any]
) -> None:
    service, logs = rich
    group = filter if "rules" in filter else {"combinator": "and", "rules": [filter]}
    wanted = [log.id for log in expected(of_project(logs, "shop"), Asked(filter=group))]
    answer = await service.get("/api/v1/requests", filter=json.dumps(group), view="full", limit="1000")
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json()["data"]] == wanted


@settings(EXAMPLES, max_examples=50)
@given(search=WORDS.filter(bool))
async def test_a_search_finds_what_the_model_says_among_many_rows(
    rich: tuple[QueryService, list[RequestLog]], search: str
) -> None:
    service, logs = rich
    wanted = [log.id for log in expected(of_project(logs, "shop"), Asked(search=search))]
    assert await service.ids(search=search, pageSize="1000") == wanted


@EXAMPLES
@given(batches=writes(), questions=st.lists(ASKED, min_size=4, max_size=8))
async def test_a_list_is_what_the_model_says_for_each_project(
    service: QueryService, batches: list[list[RequestLog]], questions: list[Asked]
) -> None:
    logs = await stored(service, batches)
    for asked in questions:
        for project, key in (("shop", service.keys.shop), ("bank", service.keys.bank)):
            wanted = [log.id for log in expected(of_project(logs, project), asked)]
            answer = await service.listed(key, **asked.query(), pageSize="100")
            assert [item["id"] for item in answer["requests"]] == wanted
            assert answer["totalCount"] == len(wanted)
        everything = await service.ids(service.keys.everything, **asked.query(), pageSize="100")
        assert everything == [log.id for log in expected(logs, asked)]


@EXAMPLES
@given(batches=writes(), asked=ASKED, size=st.integers(1, 4))
async def test_numbered_pages_concatenate_to_the_whole_list(
    service: QueryService, batches: list[list[RequestLog]], asked: Asked, size: int
) -> None:
    logs = of_project(await stored(service, batches), "shop")
    wanted = [log.id for log in expected(logs, asked)]
    pages = [
        await service.ids(**asked.query(), pageSize=str(size), pageNumber=str(number))
        for number in range(1, len(wanted) // size + 3)
    ]
    assert [id_ for page in pages for id_ in page] == wanted
    assert pages[-1] == []


@EXAMPLES
@given(batches=writes(), asked=ASKED, limit=st.integers(1, 4), everything=st.booleans())
async def test_cursor_pages_concatenate_to_the_newest_first_list(
    service: QueryService, batches: list[list[RequestLog]], asked: Asked, limit: int, everything: bool
) -> None:
    logs = await stored(service, batches)
    mine = logs if everything else of_project(logs, "shop")
    newest_first = Asked(asked.user_id, asked.search, asked.filter)
    conditions = {name: text for name, text in newest_first.query().items() if not name.startswith("sort")}
    key = service.keys.everything if everything else service.keys.shop
    pages = [page async for page in walked(service, key, {**conditions, "limit": str(limit)})]
    assert [row["id"] for page in pages for row in page] == [log.id for log in expected(mine, newest_first)]
    assert all(len(page) == limit for page in pages[:-1])


MOST_PAGES = 60


async def walked(service: QueryService, key: str, query: dict[str, str]) -> AsyncIterator[list[Any]]:
    """The pages of our own form, until there is no next one."""
    cursor: str | None = ""
    for _ in range(MOST_PAGES):
        if cursor is None:
            return
        answer = await service.get("/api/v1/requests", key, **query, cursor=cursor)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        yield content["data"]
        cursor = content["next_cursor"]
    pytest.fail("the cursor does not come to an end")


@EXAMPLES
@given(batches=writes())
async def test_a_single_call_is_its_newest_version_and_foreign_or_deleted_ones_are_not_found(
    service: QueryService, batches: list[list[RequestLog]]
) -> None:
    logs = await stored(service, batches)
    standing = {log.id: log for log in current(logs)}
    for log in logs:
        for project, key in (("shop", service.keys.shop), ("bank", service.keys.bank)):
            answer = await service.get(f"/api/v1/requests/{log.id}", key)
            there = log.id in standing and log.project == project
            assert answer.status_code == (200 if there else 404)
            if there:
                assert answer.json()["status_code"] == standing[log.id].status_code
