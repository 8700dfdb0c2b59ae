"""A range in time → the disjoint units whose aggregates add up to that of the range.

A whole month is one unit. A month that is still being written, or that the range cuts, goes by days, so that new rows
spoil little. What of a month or a day lies outside the range does not matter while no part can hold rows there: then
the unit still counts as whole, and its aggregate can be kept although the range ends in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from query_api.aggregates.parts import ROWS_TABLE, Parts
from query_api.aggregates.spans import DAY_MS, Period, Span, days_of, month_at


@dataclass(frozen=True, slots=True)
class Unit:
    """What is aggregated at once."""

    whole: Period  # the month or day that it is known by
    asked: Period  # what of it is read
    keepable: bool  # no row of the whole can be outside of what is read


def units_of(span: Span, parts: Parts, now: int, *, coarse: bool = False) -> list[Unit]:
    """The units of the span that parts can have rows of, oldest first.

    Coarse: neighbouring days are one unit, the last two excepted. For aggregates of many groups, which most days share.
    """
    rows = tuple(part.times for part in parts.active if part.table == ROWS_TABLE)
    months = sorted({month_at(times.start) for times in rows})  # a part holds rows of one month
    written = {month_at(now), *months[-1:]}
    units = [unit for month in months for unit in _of_month(month, span, rows, by_days=month in written)]
    return [*_joined(units[:-2]), *units[-2:]] if coarse else units


def _of_month(month: Period, span: Span, rows: Sequence[Period], *, by_days: bool) -> Iterator[Unit]:
    inside = [times for times in rows if times.overlaps(month)]
    unit = _unit(month, span, inside)
    if unit is None:
        return
    if unit.keepable and not by_days:
        yield unit
        return
    for day in days_of(month):
        if part := _unit(day, span, inside):
            yield part


def _unit(whole: Period, span: Span, rows: Sequence[Period]) -> Unit | None:
    asked = whole.within(span)
    if asked.start >= asked.end or not any(times.overlaps(asked) for times in rows):
        return None
    outside = (Period(whole.start, asked.start), Period(asked.end, whole.end))
    return Unit(whole, asked, not any(_meets(part, times) for part in outside for times in rows))


def _meets(part: Period, times: Period) -> bool:
    return part.start < part.end and part.overlaps(times)


def _joined(units: Sequence[Unit]) -> list[Unit]:
    joined: list[Unit] = []
    for unit in units:
        last = joined[-1] if joined else None
        if last and last.keepable and unit.keepable and last.asked.end == unit.asked.start and _is_day(unit):
            whole = Period(last.whole.start, unit.whole.end)
            joined[-1] = Unit(whole, Period(last.asked.start, unit.asked.end), keepable=True)
        else:
            joined.append(unit)
    return joined


def _is_day(unit: Unit) -> bool:
    return unit.whole.end - unit.whole.start == DAY_MS
