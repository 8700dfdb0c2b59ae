"""What calls cost by the committed price data: the figures that an invoice would show."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from ledger.prices.book import PriceBook
from ledger.prices.costing import CostReason, Priceable, Priced, Unpriced, cost_of
from ledger.usage import INT64_MAX, Usage

USD = 10**12
USAGE = Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=100, total_tokens=1100)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def a_call(**changes: object) -> Priceable:
    call = Priceable(
        provider="openai",
        model_served=None,
        model_requested="gpt-5",
        requested_at=datetime(2026, 11, 1, tzinfo=UTC),
        usage=USAGE,
    )
    return replace(call, **changes)


def anthropic(usage: Usage, **changes: object) -> Priceable:
    return a_call(provider="anthropic", model_served="claude-opus-4-8", usage=usage, **changes)


@pytest.mark.parametrize("tier", [None, "", "default", "standard", "auto", "Default", "on_demand"])
def test_the_standard_tier_has_the_standard_rates(tier: str | None, book: PriceBook) -> None:
    assert cost_of(a_call(service_tier=tier, speed=tier), book) == Priced(1_800_000_000)


@pytest.mark.parametrize(
    ("tier", "pico_usd"), [("batch", 900_000_000), ("flex", 900_000_000), ("priority", 3_600_000_000)]
)
def test_a_tier_has_its_own_rates(tier: str, pico_usd: int, book: PriceBook) -> None:
    assert cost_of(a_call(service_tier=tier), book) == Priced(pico_usd)


@pytest.mark.parametrize(
    "call",
    [
        a_call(service_tier="scale"),
        a_call(service_tier="flex", requested_at=datetime(2026, 10, 11, 23, 59, 59, tzinfo=UTC)),
        a_call(service_tier="flex", model_requested="gpt-4"),
        a_call(service_tier="batch", provider="azure"),
        a_call(service_tier="batch", speed="fast"),
        a_call(speed="fast"),
    ],
)
def test_a_tier_without_a_rate_never_falls_back_to_the_standard_one(call: Priceable, book: PriceBook) -> None:
    assert cost_of(call, book) == Unpriced(CostReason.NO_TIER_RATE)


def test_a_price_that_was_cut_applies_from_its_day(book: PriceBook) -> None:
    before = a_call(model_requested="o3", requested_at=datetime(2025, 5, 1, tzinfo=UTC))
    after = a_call(model_requested="o3", requested_at=datetime(2025, 7, 1, tzinfo=UTC))
    assert cost_of(before, book) == Priced(102 * USD // 10_000)
    assert cost_of(after, book) == Priced(22 * USD // 10_000)


def test_an_anthropic_batch_is_priced_by_the_batch_rate(book: PriceBook) -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    assert cost_of(anthropic(usage), book) == Priced((1000 * 5 + 100 * 25) * 10**6)
    assert cost_of(anthropic(usage, service_tier="batch"), book) == Priced((1000 * 5 + 100 * 25) * 10**6 // 2)
    assert cost_of(anthropic(usage, speed="fast"), book) == Priced((1000 * 10 + 100 * 50) * 10**6)


def test_cache_writes_are_priced_by_their_lifetime(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=1627,
        cache_read_tokens=1000,
        cache_write_tokens=123,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=23,
        output_tokens=10,
        web_searches=2,
    )
    micro_usd = 504 * 5 + 1000 * 0.5 + 100 * 6.25 + 23 * 10 + 10 * 25 + 2 * 10_000
    assert cost_of(anthropic(usage), book) == Priced(int(micro_usd * 10**6))


def test_a_long_request_costs_the_higher_rate_as_a_whole(book: PriceBook) -> None:
    def cost(size: int) -> Priced | Unpriced:
        usage = Usage(input_tokens=size, output_tokens=0)
        return cost_of(a_call(provider="google", model_requested="gemini-2.5-pro", usage=usage), book)

    assert cost(200_000) == Priced(200_000 * 1_250_000)
    assert cost(200_001) == Priced(200_001 * 2_500_000)


def test_a_deployment_is_priced_by_the_model_that_the_reply_names(book: PriceBook) -> None:
    call = a_call(provider="azure", model_requested="my-deployment", model_served="gpt-5-2025-08-07")
    assert cost_of(call, book) == Priced(1_800_000_000)


@pytest.mark.parametrize(
    "call",
    [
        a_call(model_requested="gpt-that-never-was"),
        a_call(model_requested="ft:gpt-4o:acme"),
        a_call(model_requested=None),
        a_call(provider="a provider that never was"),
        a_call(provider="azure", model_requested="my-deployment"),
        a_call(provider="anthropic"),
    ],
)
def test_an_unknown_model_is_unpriced(call: Priceable, book: PriceBook) -> None:
    assert cost_of(call, book) == Unpriced(CostReason.UNKNOWN_MODEL)


@pytest.mark.parametrize(
    "usage",
    [None, Usage(), Usage(total_tokens=25), Usage(input_tokens=5), Usage(output_tokens=5), Usage(web_searches=1)],
)
def test_a_call_without_its_usage_is_unpriced(usage: Usage | None, book: PriceBook) -> None:
    assert cost_of(a_call(usage=usage), book) == Unpriced(CostReason.NO_USAGE)


def test_a_failed_call_without_usage_lacks_usage_whatever_its_model(book: PriceBook) -> None:
    assert cost_of(a_call(usage=None, model_requested=None), book) == Unpriced(CostReason.NO_USAGE)


def test_embeddings_are_priced_by_their_input(book: PriceBook) -> None:
    call = a_call(model_requested="text-embedding-3-small", usage=Usage(input_tokens=10, total_tokens=10))
    assert cost_of(call, book) == Priced(10 * 20_000)


def test_a_unit_without_a_rate_leaves_no_part_sum(book: PriceBook) -> None:
    call = a_call(model_requested="text-embedding-3-small", usage=Usage(input_tokens=10, output_tokens=1))
    assert cost_of(call, book) == Unpriced(CostReason.NO_RATE)


def test_a_hit_in_the_callers_own_cache_costs_nothing(book: PriceBook) -> None:
    assert cost_of(a_call(usage=Usage(input_tokens=0, output_tokens=0)), book) == Priced(0)


def test_a_model_that_its_provider_calls_free_costs_nothing(book: PriceBook) -> None:
    call = a_call(provider="openrouter", model_requested="deepseek/deepseek-r1:free")
    assert cost_of(call, book) == Priced(0)


def test_a_model_that_merely_has_no_rates_is_not_free(book: PriceBook) -> None:
    call = a_call(provider="cerebras", model_requested="qwen-3-coder-480b")
    assert cost_of(call, book) == Unpriced(CostReason.NO_RATE)


def test_a_usage_that_was_read_as_exclusive_is_priced_and_marked(book: PriceBook) -> None:
    usage = replace(USAGE, read_as_exclusive=True)
    assert cost_of(a_call(usage=usage), book) == Priced(1_800_000_000, "usage_read_as_exclusive")


def test_a_price_that_cannot_be_stored_is_no_price(book: PriceBook) -> None:
    usage = Usage(input_tokens=INT64_MAX, output_tokens=0)
    assert cost_of(a_call(usage=usage), book) == Unpriced(CostReason.NO_USAGE)


def test_the_same_call_costs_the_same_in_another_book_of_that_version(book: PriceBook) -> None:
    assert cost_of(a_call(), book) == cost_of(a_call(), PriceBook.load(book.version))
