"""Spans of time in whole milliseconds since 1970, and the calendar's months and days in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.clock import from_milliseconds, to_milliseconds
from query_api.spans import DAY_MS as DAY_MS

_LONGEST_MONTH_MS = 31 * DAY_MS


@dataclass(frozen=True, slots=True)
class Span:
    """From the first millisecond inside to the first one outside; None: no bound."""

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A span with both bounds."""

    start: int
    end: int

    def within(self, span: Span) -> "Period":
        """What of it lies in the span; empty when its end is not after its start."""
        return Period(
            self.start if span.start is None else max(self.start, span.start),
            self.end if span.end is None else min(self.end, span.end),
        )

    def overlaps(self, other: "Period") -> bool:
        """Whether they share a millisecond."""
        return self.start < other.end and other.start < self.end


ALL_TIME = Period(0, to_milliseconds(datetime(2299, 1, 1, tzinfo=UTC)))
"""No row is outside: the store cannot hold one."""


def month_at(ms: int) -> Period:
    """The calendar month of an instant."""
    first = from_milliseconds(ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = to_milliseconds(first)
    after = from_milliseconds(start + _LONGEST_MONTH_MS).replace(day=1)
    return Period(start, to_milliseconds(after.replace(hour=0)))


def days_of(period: Period) -> Iterator[Period]:
    """The calendar days of a month."""
    for start in range(period.start, period.end, DAY_MS):
        yield Period(start, start + DAY_MS)
