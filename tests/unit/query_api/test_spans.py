"""A list is read in stretches of time: together they are the whole, and none of them is read twice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.filtering.reach import Reach
from ledger.filtering.retained import Retained
from ledger.ids import ProjectId
from query_api.spans import DAY_MS, LEAST_GROWTH, MOST_GROWTH, Span, next_length, span

NOW = 1_775_001_600_000
A_YEAR_MS = 366 * DAY_MS
INSTANTS = st.integers(0, NOW + A_YEAR_MS) | st.integers(-3, 3).map(lambda ms: NOW + ms) | st.integers(0, 3)
BOUNDS = st.none() | INSTANTS
REACHES = st.builds(Reach, st.none() | st.just(ProjectId("shop")), st.builds(Retained, BOUNDS))
LENGTHS = st.lists(st.integers(1, DAY_MS) | st.integers(DAY_MS, 10 * A_YEAR_MS), max_size=20)


def stretches(whole: Span, lengths: list[int], now: int = NOW) -> list[Span]:
    """How a list goes through the whole: by these lengths, and then by all there is."""
    parts: list[Span] = []
    left: Span | None = whole
    for length in [*lengths, now + DAY_MS]:
        if left is not None:
            parts.append(left.cut(length, now))
            left = left.before(parts[-1])
    assert left is None
    return parts


@given(reach=REACHES, created_from=BOUNDS, created_before=BOUNDS, lengths=LENGTHS)
def test_stretches_follow_one_another_from_the_newest_end_to_the_oldest(
    reach: Reach, created_from: int | None, created_before: int | None, lengths: list[int]
) -> None:
    parts = stretches(span(reach, created_from, created_before), lengths)
    assert parts[0].created_before == created_before
    assert parts[-1].created_from == created_from
    for newer, older in pairwise(parts):
        assert newer.created_from is not None
        assert older.created_before == newer.created_from
        assert older.created_from is None or older.created_from < newer.created_from
    assert {(part.project, part.retained) for part in parts} == {(reach.project, reach.retained)}


@given(created_from=BOUNDS, created_before=BOUNDS, lengths=LENGTHS, at=INSTANTS)
def test_every_instant_of_the_whole_is_in_one_stretch_and_no_other_is_in_any(
    created_from: int | None, created_before: int | None, lengths: list[int], at: int
) -> None:
    whole = span(Reach(None), created_from, created_before)
    assert sum(holds(part, at) for part in stretches(whole, lengths)) == holds(whole, at)


def holds(part: Span, at: int) -> bool:
    after_the_first = part.created_from is None or at >= part.created_from
    return after_the_first and (part.created_before is None or at < part.created_before)


@given(created_from=BOUNDS, created_before=BOUNDS, length=st.integers(1, 10 * A_YEAR_MS))
def test_a_stretch_is_no_longer_than_asked_but_for_the_future_or_where_it_is_the_rest(
    created_from: int | None, created_before: int | None, length: int
) -> None:
    whole = span(Reach(None), created_from, created_before)
    part = whole.cut(length, NOW)
    newest = NOW if created_before is None else min(created_before, NOW)
    if part.created_from == created_from:
        assert newest - length <= (created_from or 0)
    else:
        assert part.created_from == newest - length


def test_the_first_stretch_without_an_end_holds_what_is_later_than_now() -> None:
    first = span(Reach(None), None, None).cut(DAY_MS, NOW)
    assert (first.created_from, first.created_before) == (NOW - DAY_MS, None)


@given(length=st.integers(1, A_YEAR_MS), found=st.integers(0, 1000), wanted=st.integers(1, 1000))
def test_a_next_stretch_is_longer_the_fewer_rows_the_last_one_held(length: int, found: int, wanted: int) -> None:
    grown = next_length(length, found, wanted)
    assert LEAST_GROWTH * length <= grown <= MOST_GROWTH * length
    assert next_length(length, found + 1, wanted) <= grown
    if found == 0:
        assert grown == MOST_GROWTH * length
