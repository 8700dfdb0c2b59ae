"""Lists among many rows that matched once and do not any more: what still matches is found behind all of them."""

import asyncio
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ledger.request_log import Bodies, RequestLog
from tests.support.builders import a_request_log, an_id
from tests.support.histories import DAY_MS, NOW
from tests.support.query_service import QueryService, query_service

SUPERSEDED = 2600
"""More than all rounds of candidates of a small page hold together."""


def call(number: int, created_at: int, prompt: str) -> RequestLog:
    bodies = Bodies(prompt=prompt)
    return a_request_log(
        created_at=created_at, id=an_id(created_at, number), user_id="ann", total_tokens=number, bodies=bodies
    )


ONCE = [call(1000 + at, NOW - 1000 - at, "the quick fox") for at in range(SUPERSEDED)]
STILL = [call(at, NOW - DAY_MS // 2 - at % 3 * DAY_MS, "a quick fox, too") for at in range(7)]
OTHERS = [replace(log, version=2, user_id="bob", bodies=Bodies(prompt="slow")) for log in ONCE]
LEFT = [log.id for log in sorted(STILL, key=lambda log: (log.created_at, log.id), reverse=True)]


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        for batch in (ONCE, STILL, OTHERS):
            asyncio.run(running.add(*batch))
        yield running


@pytest.mark.parametrize(
    "conditions",
    [
        {"user_id": "ann"},
        {"q": "user:ann"},
        {"q": "quick"},
        {"q": "quick user:ann"},
        {"q": "fox -user:bob"},
        {"q": "-slow"},
        {"search": "quick"},
    ],
    ids=str,
)
async def test_a_list_goes_on_behind_rows_that_do_not_match_any_more(
    service: QueryService, conditions: dict[str, str]
) -> None:
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await service.get("/api/v1/requests", cursor=cursor, limit="3", **conditions)
        found += [row["id"] for row in answer.json()["data"]]
        cursor = answer.json()["next_cursor"]
    assert found == LEFT


async def test_words_that_many_rows_hold_are_found_beside_a_rare_value(service: QueryService) -> None:
    answer = await service.get("/api/v1/requests", view="full", q=f"slow tokens:{1000 + SUPERSEDED - 1}", limit="2")
    assert [row["id"] for row in answer.json()["data"]] == [ONCE[-1].id]


@pytest.mark.parametrize("sort_by", ["tokens", "updatedAt"])
async def test_a_numbered_page_goes_on_behind_them_too(service: QueryService, sort_by: str) -> None:
    query = {"user_id": "ann", "sortBy": sort_by, "sortOrder": "desc"}
    whole = await service.ids(**query, pageSize="100")
    assert sorted(whole) == sorted(LEFT)
    pages = [await service.ids(**query, pageSize="2", pageNumber=str(number)) for number in range(1, 6)]
    assert [id_ for page in pages for id_ in page] == whole
