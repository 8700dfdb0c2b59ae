"""Lists without the price of deduplication: whatever has happened to the store, the pages are those of `FINAL`."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from ledger.request_log import RequestLog
from tests.support.asked_of_lists import WANTED, Wanted, parameters_of
from tests.support.histories import Step, happen, history, rows_of
from tests.support.listing_model import SORTS
from tests.support.query_service import QueryService, query_service

EXAMPLES = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a seed does not shrink; look into it with fewer steps
    print_blob=True,
)
SEEDS = st.integers(0, 2**32)
MOST_PAGES = 400
QUESTIONS_OF_A_HISTORY = 5


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    """One service for all examples; each example clears the tables."""
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        yield running


Page = Sequence[tuple[str, str]]


async def pages(service: QueryService, key: str, wanted: Wanted, limit: int) -> AsyncIterator[Page]:
    """The pages of our own form, each as names of rows, to the end."""
    cursor: str | None = ""
    for _ in range(MOST_PAGES):
        if cursor is None:
            return
        query = parameters_of(wanted, view="full", limit=limit, cursor=cursor)
        answer = await service.get("/api/v1/requests", key, **query)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        yield [(row["project"], row["id"]) for row in content["data"]]
        cursor = content["next_cursor"]
    pytest.fail("the cursor does not come to an end")


def within_reach(service: QueryService, logs: Sequence[RequestLog], *, everything: bool) -> list[RequestLog]:
    return [log for log in logs if everything or log.project == "shop"]


def key_of(service: QueryService, *, everything: bool) -> str:
    return service.keys.everything if everything else service.keys.shop


def names(logs: Sequence[RequestLog]) -> list[tuple[str, str]]:
    return [(log.project, log.id) for log in logs]


@EXAMPLES
@given(
    seed=SEEDS,
    steps=st.integers(2, 8),
    questions=st.lists(
        st.tuples(WANTED, st.booleans(), st.integers(1, 4)),
        min_size=QUESTIONS_OF_A_HISTORY,
        max_size=QUESTIONS_OF_A_HISTORY,
    ),
)
async def test_cursor_pages_are_the_rows_as_they_stand_each_once_and_in_order(
    service: QueryService, seed: int, steps: int, questions: list[tuple[Wanted, bool, int]]
) -> None:
    happened = history(seed, steps)
    await service.clear()
    await happen(service, happened)
    for wanted, everything, parts in questions:
        expected = names(wanted.rows(within_reach(service, rows_of(happened), everything=everything)))
        limit = max(1, len(expected) // parts)
        note(str(parameters_of(wanted)))
        key = key_of(service, everything=everything)
        found = [page async for page in pages(service, key, wanted, limit)]
        assert [row for page in found for row in page] == expected
        assert all(len(page) == limit for page in found[:-1])


@EXAMPLES
@given(
    seed=SEEDS,
    steps=st.integers(2, 8),
    wanted=WANTED,
    sorts=st.lists(st.tuples(st.sampled_from(sorted(SORTS)), st.booleans()), min_size=3, max_size=3),
    everything=st.booleans(),
    size=st.integers(1, 9),
)
async def test_numbered_pages_are_those_of_final_in_every_order(
    service: QueryService,
    seed: int,
    steps: int,
    wanted: Wanted,
    sorts: list[tuple[str, bool]],
    everything: bool,
    size: int,
) -> None:
    happened = history(seed, steps)
    await service.clear()
    await happen(service, happened)
    logs = within_reach(service, rows_of(happened), everything=everything)
    for sort_by, ascending in sorts:
        asked = replace(wanted.asked, sort_by=sort_by, ascending=ascending)
        expected = names(Wanted(asked).rows(logs))
        for number in {1, 2, len(expected) // size + 1, len(expected) // size + 2}:
            page = await service.listed(
                key_of(service, everything=everything), **asked.query(), pageSize=str(size), pageNumber=str(number)
            )
            shown = [row["id"] for row in page["requests"]]
            assert shown == [id_ for _, id_ in expected[(number - 1) * size : number * size]]
            assert page["totalCount"] == len(expected)


@EXAMPLES
@given(
    seed=SEEDS,
    steps=st.integers(4, 14),
    wanted=WANTED,
    everything=st.booleans(),
    limit=st.integers(1, 6),
    before=st.integers(1, 6),
)
async def test_what_happens_between_two_pages_takes_no_row_away_and_shows_none_twice(
    service: QueryService, seed: int, steps: int, wanted: Wanted, everything: bool, limit: int, before: int
) -> None:
    whole = history(seed, steps)
    happened, still_to_come = whole[:before], whole[before:]
    await service.clear()
    await happen(service, happened)
    seen: list[tuple[str, str]] = []
    stages = [matching(service, happened, wanted, everything=everything)]
    async for page in pages(service, key_of(service, everything=everything), wanted, limit):
        assert {*page} <= stages[-1]
        seen += page
        if still_to_come:
            happened = [*happened, still_to_come.pop(0)]
            await happen(service, happened[-1:])
            stages.append(matching(service, happened, wanted, everything=everything))
    assert len(seen) == len({*seen})
    assert set.intersection(*stages) <= {*seen}
    created_at = {(str(log.project), str(log.id)): log.created_at for log in rows_of(whole)}
    in_order = [(created_at[name], name[1], name[0]) for name in seen]
    assert in_order == sorted(in_order, reverse=True)


def matching(
    service: QueryService, happened: Sequence[Step], wanted: Wanted, *, everything: bool
) -> set[tuple[str, str]]:
    """The rows that are meant after these steps."""
    return {*names(wanted.rows(within_reach(service, rows_of(happened), everything=everything)))}
