"""From rates and usage to a price, or to the reason why there is none."""

import pytest

from ledger.prices.rates import Rates
from ledger.prices.reasons import CostReason
from ledger.prices.schema import Cliff
from ledger.usage import INT64_MAX, Usage

AUDIO = {"input_tokens": 10, "cache_read_tokens": 1, "input_audio_tokens": 50, "cache_audio_read_tokens": 5}


def test_each_part_is_priced_at_its_own_rate_and_the_rest_at_that_of_the_total() -> None:
    rates = Rates({"input_tokens": 10, "cache_read_tokens": 1, "cache_write_tokens": 12, "output_tokens": 30})
    usage = Usage(input_tokens=100, cache_read_tokens=40, cache_write_tokens=20, output_tokens=5)
    assert rates.cost(usage) == (100 - 40 - 20) * 10 + 40 * 1 + 20 * 12 + 5 * 30


def test_a_part_without_a_rate_goes_at_that_of_its_parent() -> None:
    rates = Rates({"input_tokens": 10, "cache_write_tokens": 12, "cache_write_1h_tokens": 20, "output_tokens": 30})
    usage = Usage(
        input_tokens=100,
        cache_read_tokens=40,
        cache_write_tokens=20,
        cache_write_5m_tokens=15,
        cache_write_1h_tokens=5,
        output_tokens=5,
        reasoning_tokens=4,
    )
    assert rates.cost(usage) == 80 * 10 + 15 * 12 + 5 * 20 + 5 * 30


@pytest.mark.parametrize(("size", "rate"), [(100, 1), (101, 2), (200, 2), (201, 3)])
def test_a_threshold_must_be_exceeded_and_applies_to_the_whole_request(size: int, rate: int) -> None:
    rates = Rates({"input_tokens": Cliff(1, ((100, 2), (200, 3))), "output_tokens": Cliff(10, ((100, 20),))})
    assert rates.cost(Usage(input_tokens=size, output_tokens=1)) == size * rate + (20 if size > 100 else 10)


def test_a_threshold_counts_what_was_read_from_the_cache_too() -> None:
    rates = Rates({"input_tokens": Cliff(1, ((100, 2),)), "cache_read_tokens": 1, "output_tokens": 0})
    assert rates.cost(Usage(input_tokens=101, cache_read_tokens=100, output_tokens=0)) == 1 * 2 + 100


def test_a_fee_per_request_is_charged_once() -> None:
    rates = Rates({"input_tokens": 1, "output_tokens": 1, "requests": 500})
    assert rates.cost(Usage(input_tokens=2, output_tokens=3)) == 505


def test_fractions_of_a_pico_usd_are_rounded_once_and_half_to_even() -> None:
    rates = Rates({"input_tokens": "1/2", "output_tokens": "1/3"})
    costs = [rates.cost(Usage(input_tokens=size, output_tokens=0)) for size in (1, 2, 3, 5)]
    assert costs == [0, 1, 2, 2]
    assert rates.cost(Usage(input_tokens=1, output_tokens=1)) == 1  # 5/6


def test_known_zero_usage_costs_nothing_even_where_there_is_no_rate() -> None:
    usage = Usage(input_tokens=0, output_tokens=0)
    assert Rates({}).cost(usage) == 0
    assert Rates({"input_tokens": 1, "output_tokens": 1}).cost(usage) == 0


def test_a_free_model_costs_nothing_whatever_was_used() -> None:
    rates = Rates({"input_tokens": 0, "output_tokens": 0})
    assert rates.cost(Usage(input_tokens=10**6, output_tokens=5)) == 0
    assert rates.cost(Usage(input_tokens=10)) == 0


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=1, output_tokens=1),
        Usage(input_tokens=1, output_tokens=0, web_searches=1),
    ],
)
def test_what_was_used_and_has_no_rate_leaves_the_whole_call_unpriced(usage: Usage) -> None:
    assert Rates({"input_tokens": 1}).cost(usage) is CostReason.NO_RATE


def test_embeddings_have_no_output_and_need_no_rate_for_it() -> None:
    assert Rates({"input_tokens": 7}).cost(Usage(input_tokens=3)) == 21


@pytest.mark.parametrize(
    ("rates", "usage"),
    [
        (Rates({"input_tokens": 1, "output_tokens": 1}), Usage(input_tokens=1)),
        (Rates({"input_tokens": 1, "output_tokens": 1}), Usage(output_tokens=1)),
        (Rates({"input_tokens": Cliff(0, ((9, 1),)), "output_tokens": 0}), Usage(output_tokens=1)),
        (Rates({}), Usage(output_tokens=0)),
    ],
)
def test_a_total_that_was_not_reported_is_not_taken_for_zero(rates: Rates, usage: Usage) -> None:
    assert rates.cost(usage) is CostReason.NO_USAGE


def test_units_that_no_reply_reports_leave_the_call_unpriced() -> None:
    rates = Rates({"input_tokens": 1, "output_tokens": 1, "audio_seconds": 9})
    assert rates.cost(Usage(input_tokens=1, output_tokens=1)) is CostReason.NO_USAGE


def test_fees_for_tools_that_no_reply_reports_do_not() -> None:
    rates = Rates({"input_tokens": 1, "output_tokens": 1, "storage_searches": 9})
    assert rates.cost(Usage(input_tokens=1, output_tokens=1)) == 2


def test_cached_audio_is_priced_apart_when_it_was_reported() -> None:
    usage = Usage(input_tokens=100, cache_read_tokens=30, audio_input_tokens=50, cache_read_audio_tokens=20)
    assert Rates(AUDIO).cost(usage) == (100 - 30 - 50 + 20) * 10 + (30 - 20) * 1 + (50 - 20) * 50 + 20 * 5


def test_how_much_of_the_audio_was_cached_is_not_guessed() -> None:
    usage = Usage(input_tokens=100, cache_read_tokens=30, audio_input_tokens=50)
    assert Rates(AUDIO).cost(usage) is CostReason.NO_USAGE


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(input_tokens=100, cache_read_tokens=30), 70 * 10 + 30),
        (Usage(input_tokens=100, audio_input_tokens=50, cache_read_tokens=0), 50 * 10 + 50 * 50),
    ],
)
def test_without_audio_or_cache_nothing_needs_guessing(usage: Usage, cost: int) -> None:
    assert Rates(AUDIO).cost(usage) == cost


def test_parts_that_exceed_their_total_leave_the_call_unpriced() -> None:
    rates = Rates({"input_tokens": 10, "cache_read_tokens": 1, "output_tokens": 30})
    usage = Usage(input_tokens=10, cache_read_tokens=11, output_tokens=1)
    assert rates.cost(usage) is CostReason.NO_USAGE


def test_a_price_beyond_what_can_be_stored_is_no_price() -> None:
    rates = Rates({"input_tokens": 1, "output_tokens": 1})
    assert rates.cost(Usage(input_tokens=INT64_MAX, output_tokens=0)) == INT64_MAX
    assert rates.cost(Usage(input_tokens=INT64_MAX, output_tokens=1)) is CostReason.NO_USAGE
