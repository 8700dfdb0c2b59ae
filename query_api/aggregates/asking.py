"""What the endpoints of statistics have in common: their range in time, their limit, their parameters' meaning.

Without `from` the last 30 days before `to` are meant, and the answer says so: these endpoints never read all time
unless they are told to.
"""

import re
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ledger.clock import Clock, to_milliseconds
from query_api.aggregates.intervals import Interval
from query_api.aggregates.spans import ALL_TIME, DAY_MS, Period
from query_api.conditions import Conditions
from query_api.errors import BadParameter, TooExpensive
from query_api.parameters import Given, conditions_of
from query_api.views import iso

T = TypeVar("T")

DEFAULT_DAYS = 30
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows, and of which time."""

    conditions: Conditions
    range: Period
    narrowed: bool

    def said(self) -> dict[str, Any]:
        """The fields of an answer that tell the time."""
        return {"from_": iso(self.range.start), "to": iso(self.range.end), "narrowed": self.narrowed}


def asked_of(parameters: Given, clock: Clock) -> Asked:
    """Raises `BadParameter` or `BadFilter`."""
    conditions = conditions_of(parameters, clock)
    end, start = conditions.created_before, conditions.created_from
    if end is None:
        end = to_milliseconds(clock())
    narrowed = start is None
    if start is None:
        start = max(ALL_TIME.start, end - DEFAULT_DAYS * DAY_MS)
    if start > end:
        raise BadParameter("from", "must not be after to (without to: now)")
    return Asked(replace(conditions, created_from=start, created_before=end), Period(start, end), narrowed)


async def advised(answer: Awaitable[T], interval: Interval | None = None) -> T:
    """The answer; where it is too expensive, with advice that fits statistics of this interval."""
    try:
        return await answer
    except TooExpensive as error:
        ways = "narrow the time or group by less"
        if interval is not None and not interval.is_longest:
            ways = "narrow the time, group by less, or take a longer interval"
        raise TooExpensive(f"{error} For statistics: {ways}.") from error


def limit_of(parameters: Given, default: int = DEFAULT_LIMIT) -> int:
    """How many are listed. Raises `BadParameter`."""
    text = parameters.get("limit")
    if not text:
        return default
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise BadParameter("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)
