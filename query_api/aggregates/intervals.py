"""Buckets of time: their lengths, and where they begin. Starts are UTC-aligned; whole weeks begin on Monday."""

from collections.abc import Mapping
from dataclasses import dataclass

from query_api.aggregates.measures import CREATED
from query_api.aggregates.spans import DAY_MS, Period
from query_api.errors import BadParameter, TooExpensive

_MINUTE_MS = 60_000
LENGTHS: Mapping[str, int] = {
    "1m": _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "1d": DAY_MS,
    "7d": 7 * DAY_MS,
    "28d": 28 * DAY_MS,
    "364d": 364 * DAY_MS,
}
AUTO, NONE = "auto", "none"
AUTO_BUCKETS = 121  # 30 days by six hours, wherever they begin
MOST_BUCKETS = 2000
_FIRST_MONDAY_MS = 4 * DAY_MS
_WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Interval:
    """The length of a bucket."""

    name: str

    @property
    def length_ms(self) -> int:
        """In milliseconds."""
        return LENGTHS[self.name]

    @property
    def offset_ms(self) -> int:
        """How long after 1970 began a bucket begins."""
        return 0 if self.length_ms % _WEEK_MS else _FIRST_MONDAY_MS

    @property
    def is_longest(self) -> bool:
        """Whether there is none that is longer."""
        return self.length_ms == max(LENGTHS.values())

    @property
    def sql(self) -> str:
        """The start of a row's bucket, in milliseconds since 1970."""
        length, offset = self.length_ms, self.offset_ms
        return f"(intDiv({CREATED} + {length - offset}, {length}) * {length} - {length - offset})"

    def starts(self, range_: Period) -> range:
        """The buckets that the range touches."""
        first = (range_.start - self.offset_ms) // self.length_ms * self.length_ms + self.offset_ms
        return range(first, max(range_.end, first), self.length_ms)


def interval_of(text: str, range_: Period) -> Interval | None:
    """The interval of this name, or for `auto` one that fits the range. Raises `BadParameter` or `TooExpensive`."""
    if text == NONE:
        return None
    if text not in (AUTO, *LENGTHS):
        raise BadParameter("interval", f"must be one of: {', '.join((NONE, AUTO, *LENGTHS))}")
    interval = _fitting(range_) if text == AUTO else Interval(text)
    buckets = len(interval.starts(range_))
    if buckets > MOST_BUCKETS:
        advice = "Narrow the time" if interval.is_longest else "Take a longer interval, or narrow the time"
        raise TooExpensive(
            f"interval: {interval.name} cuts this time into {buckets} buckets, and {MOST_BUCKETS} are the most."
            f" {advice} with from and to."
        )
    return interval


def _fitting(range_: Period) -> Interval:
    *shorter, longest = map(Interval, LENGTHS)
    return next((item for item in shorter if len(item.starts(range_)) <= AUTO_BUCKETS), longest)
