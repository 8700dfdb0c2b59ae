"""Which of a model's prices apply when, and to which way of asking."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from ledger.prices.schedule import Context, Schedule
from ledger.prices.schema import DatedPrices, Match, Model, Variant
from ledger.usage import Usage

USAGE = Usage(input_tokens=1, output_tokens=0)
FLEX: Context = (("service_tier", "flex"),)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def priced(rate: int, since: date | None = None, daily: tuple[time, time] | None = None) -> DatedPrices:
    return DatedPrices({"input_tokens": rate, "output_tokens": rate}, since, daily)


def a_model(*prices: DatedPrices, variants: tuple[Variant, ...] = ()) -> Schedule:
    return Schedule(Model(id="m", match=Match(), prices=prices, variants=variants))


def rate(schedule: Schedule, at: datetime, context: Context = ()) -> object:
    rates = schedule.rates(at, context)
    return None if rates is None else rates.cost(USAGE)


def test_a_price_holds_from_midnight_utc_of_its_day() -> None:
    schedule = a_model(priced(1), priced(2, date(2026, 6, 1)))
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    assert rate(schedule, midnight - timedelta(microseconds=1)) == 1
    assert rate(schedule, midnight) == 2


def test_the_day_is_that_of_utc_wherever_the_caller_is() -> None:
    schedule = a_model(priced(1), priced(2, date(2026, 6, 1)))
    tokyo = timezone(timedelta(hours=9))
    assert rate(schedule, datetime(2026, 6, 1, 8, 59, tzinfo=tokyo)) == 1
    assert rate(schedule, datetime(2026, 6, 1, 9, tzinfo=tokyo)) == 2


def test_of_several_prices_in_force_the_last_one_counts() -> None:
    schedule = a_model(priced(1), priced(3, date(2026, 5, 1)), priced(2, date(2026, 4, 1)))
    assert rate(schedule, NOON) == 2


def test_the_first_price_counts_when_none_is_in_force() -> None:
    assert rate(a_model(priced(1, date(2027, 1, 1)), priced(2, date(2027, 2, 1))), NOON) == 1


@pytest.mark.parametrize(
    ("at", "expected"), [(time(8, 59), 1), (time(9), 2), (time(16, 59, 59, 999999), 2), (time(17), 1)]
)
def test_a_price_by_the_time_of_day_holds_from_its_start_until_before_its_end(at: time, expected: int) -> None:
    schedule = a_model(priced(1), priced(2, daily=(time(9), time(17))))
    assert rate(schedule, datetime.combine(date(2026, 6, 1), at, UTC)) == expected


@pytest.mark.parametrize(
    ("at", "expected"), [(time(22), 2), (time(0), 2), (time(1, 59), 2), (time(2), 1), (time(12), 1)]
)
def test_a_time_of_day_may_span_midnight(at: time, expected: int) -> None:
    schedule = a_model(priced(1), priced(2, daily=(time(22), time(2))))
    assert rate(schedule, datetime.combine(date(2026, 6, 1), at, UTC)) == expected


def test_a_tier_replaces_the_rates_that_it_names_and_leaves_the_rest() -> None:
    variant = Variant(when={"service_tier": "flex"}, prices=DatedPrices({"output_tokens": 50}))
    schedule = a_model(priced(1), variants=(variant,))
    rates = schedule.rates(NOON, FLEX)
    assert rates is not None
    assert rates.cost(Usage(input_tokens=1, output_tokens=1)) == 1 + 50


def test_of_two_variants_that_name_a_unit_the_first_counts() -> None:
    variants = tuple(Variant(when={"service_tier": "flex"}, prices=priced(rate)) for rate in (5, 6))
    assert rate(a_model(priced(1), variants=variants), NOON, FLEX) == 5


def test_a_tier_that_the_data_do_not_name_has_no_rates() -> None:
    variant = Variant(when={"service_tier": "priority"}, prices=priced(5))
    assert rate(a_model(priced(1)), NOON, FLEX) is None
    assert rate(a_model(priced(1), variants=(variant,)), NOON, FLEX) is None


def test_a_tier_has_no_rates_before_it_was_offered() -> None:
    variant = Variant(when={"service_tier": "flex"}, prices=priced(5, date(2026, 6, 1)))
    schedule = a_model(priced(1), variants=(variant,))
    assert rate(schedule, NOON, FLEX) == 5
    assert rate(schedule, NOON - timedelta(days=1), FLEX) is None


def test_two_ways_of_asking_at_once_need_a_rate_for_both_together() -> None:
    both: Context = (("service_tier", "flex"), ("speed", "fast"))
    apart = tuple(Variant(when=dict([way]), prices=priced(5)) for way in both)
    together = Variant(when=dict(both), prices=priced(7))
    assert rate(a_model(priced(1), variants=apart), NOON, both) is None
    assert rate(a_model(priced(1), variants=(together,)), NOON, both) == 7


def test_equal_circumstances_share_their_rates() -> None:
    schedule = a_model(priced(1), priced(2, date(2026, 6, 1)))
    assert schedule.rates(NOON) is schedule.rates(NOON + timedelta(days=300))
