"""There is a length of buckets for every range, and no advice that cannot be followed."""

from datetime import UTC, datetime

import pytest

from ledger.clock import to_milliseconds
from query_api.aggregates.asking import advised
from query_api.aggregates.intervals import AUTO_BUCKETS, LENGTHS, MOST_BUCKETS, Interval, interval_of
from query_api.aggregates.spans import DAY_MS, Period
from query_api.errors import TooExpensive

NOW = to_milliseconds(datetime(2026, 4, 1, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("days", "name"), [(1, "15m"), (30, "6h"), (100, "1d"), (800, "7d"), (9 * 365, "28d"), (20_000, "364d")]
)
def test_auto_takes_the_shortest_that_cuts_the_range_into_few(days: int, name: str) -> None:
    range_ = Period(NOW - days * DAY_MS, NOW)
    interval = interval_of("auto", range_)
    assert interval == Interval(name)
    assert len(interval.starts(range_)) <= AUTO_BUCKETS


def test_auto_has_an_answer_for_all_time_that_can_be_stored() -> None:
    whole = Period(0, to_milliseconds(datetime(2262, 1, 1, tzinfo=UTC)))
    interval = interval_of("auto", whole)
    assert interval is not None
    assert len(interval.starts(whole)) <= MOST_BUCKETS


@pytest.mark.parametrize("name", ["7d", "28d", "364d"])
def test_whole_weeks_begin_on_monday_and_the_first_bucket_holds_the_first_instant(name: str) -> None:
    for first in (0, 5 * DAY_MS, NOW):
        start, *_ = Interval(name).starts(Period(first, first + 1))
        assert start <= first < start + Interval(name).length_ms
        assert (start // DAY_MS + 3) % 7 == 0  # 1970 began on a Thursday


async def fails() -> None:
    raise TooExpensive("Too much.")


async def test_a_longer_interval_is_advised_only_where_there_is_one() -> None:
    texts = {}
    for interval in (None, *map(Interval, LENGTHS)):
        with pytest.raises(TooExpensive) as failed:
            await advised(fails(), interval)
        texts[interval and interval.name] = str(failed.value)
    assert {name for name, text in texts.items() if "longer interval" not in text} == {None, "364d"}
    assert all("narrow the time" in text for text in texts.values())
