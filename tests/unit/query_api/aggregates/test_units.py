"""How a range in time is cut: the units are disjoint, hold every row of the range, and can be kept where it is safe."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import to_milliseconds
from query_api.aggregates.parts import ROWS_TABLE, Part, Parts
from query_api.aggregates.spans import DAY_MS, Period, Span, month_at
from query_api.aggregates.units import Unit, units_of


def at(text: str) -> int:
    return to_milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


NOW = at("2026-03-20T12:00")


def parts(*times: tuple[str, str]) -> Parts:
    """Parts with rows from and to these times."""
    made = [Part(ROWS_TABLE, f"p{n}", "h", Period(at(a), at(b))) for n, (a, b) in enumerate(times)]
    return Parts("host", False, tuple(made))


def wholes(units: list[Unit]) -> list[tuple[int, int]]:
    return [(unit.whole.start, unit.whole.end) for unit in units]


JANUARY, FEBRUARY = month_at(at("2026-01-09")), month_at(at("2026-02-09"))


def test_a_month_that_is_over_is_one_unit_and_the_one_being_written_goes_by_days() -> None:
    found = units_of(Span(), parts(("2026-01-02", "2026-01-05"), ("2026-03-18T01:00", "2026-03-19T02:00")), NOW)
    days = [(at(f"2026-03-{day}"), at(f"2026-03-{day + 1}")) for day in (18, 19)]
    assert wholes(found) == [(JANUARY.start, JANUARY.end), *days]
    assert all(unit.keepable for unit in found)


def test_the_newest_month_goes_by_days_also_when_it_is_long_ago() -> None:
    found = units_of(Span(), parts(("2025-01-02", "2025-01-03"), ("2025-02-02", "2025-02-03")), NOW)
    assert [unit.whole.end - unit.whole.start for unit in found] == [31 * DAY_MS, DAY_MS]


def test_a_month_that_the_range_cuts_goes_by_days_and_the_cut_day_is_not_kept() -> None:
    span = Span(at("2026-01-03T06:00"), None)
    found = units_of(span, parts(("2026-01-01", "2026-01-06"), ("2026-03-18", "2026-03-19")), NOW)
    assert [unit.asked.start for unit in found] == [
        *(at("2026-01-03T06:00"), at("2026-01-04"), at("2026-01-05")),
        at("2026-03-18"),
    ]
    assert [unit.keepable for unit in found] == [False, True, True, True]


def test_a_range_that_ends_after_the_last_row_does_not_cut_anything() -> None:
    before = parts(("2026-01-01", "2026-01-06"), ("2026-03-20T01:00", "2026-03-20T02:00"))
    (_, today) = units_of(Span(at("2026-01-01"), at("2026-03-20T11:59")), before, NOW)
    assert today.keepable
    assert today.asked == Period(at("2026-03-20"), at("2026-03-20T11:59"))
    (_, today) = units_of(Span(None, at("2026-03-20T01:30")), before, NOW)
    assert not today.keepable


def test_an_empty_range_has_no_units() -> None:
    assert units_of(Span(NOW, NOW), parts(("2026-03-01", "2026-03-31")), NOW) == []
    assert units_of(Span(NOW + DAY_MS, NOW), parts(("2026-03-01", "2026-03-31")), NOW) == []


def test_coarse_units_join_days_but_the_last_two() -> None:
    held = parts(("2026-02-02", "2026-02-20"), ("2026-03-01", "2026-03-21"))
    found = units_of(Span(at("2026-02-10T01:00")), held, NOW, coarse=True)
    assert wholes(found) == [
        (at("2026-02-10"), at("2026-02-11")),
        (at("2026-02-11"), at("2026-02-20")),
        (at("2026-03-01"), at("2026-03-19")),
        (at("2026-03-19"), at("2026-03-20")),
        (at("2026-03-20"), at("2026-03-21")),
    ]


TIMES = st.integers(at("2025-12-30"), at("2026-03-31"))
SPANS = st.builds(Span, st.none() | TIMES, st.none() | TIMES)


def held_in(times: list[tuple[int, int]]) -> Parts:
    """Each part within the month that it begins in."""
    periods = [Period(min(a, b), min(max(a, b) + 1, month_at(min(a, b)).end)) for a, b in times]
    return Parts("host", False, tuple(Part(ROWS_TABLE, "p", "h", period) for period in periods))


@given(SPANS, st.lists(st.tuples(TIMES, TIMES), max_size=5), TIMES, st.booleans(), st.data())
def test_every_row_of_the_range_is_in_one_unit_and_what_is_kept_holds_no_other(
    span: Span, times: list[tuple[int, int]], now: int, coarse: bool, data: st.DataObject
) -> None:
    held = held_in(times)
    units = units_of(span, held, now, coarse=coarse)
    assert units == sorted(units, key=lambda unit: unit.asked)
    assert len({unit.whole for unit in units}) == len(units)
    for part in held.active:
        row = data.draw(st.integers(part.times.start, part.times.end - 1))
        inside = (span.start is None or row >= span.start) and (span.end is None or row < span.end)
        assert [unit.asked.start <= row < unit.asked.end for unit in units].count(True) == int(inside)
        for unit in units:
            assert unit.whole.start <= unit.asked.start < unit.asked.end <= unit.whole.end
            if unit.keepable and unit.whole.start <= row < unit.whole.end:
                assert inside
