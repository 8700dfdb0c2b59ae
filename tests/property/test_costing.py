"""Prices over all usages: additive, growing with what was used, and never an exception."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from ledger.prices.book import PriceBook
from ledger.prices.costing import CostReason, Priceable, Priced, Unpriced, cost_of
from ledger.prices.rates import Rates
from ledger.usage import INT64_MAX, Usage

BOOK = PriceBook.load()
RATES = Rates(
    {
        "input_tokens": 3_000_000,
        "cache_read_tokens": 300_000,
        "cache_write_tokens": 3_750_000,
        "cache_write_1h_tokens": 6_000_000,
        "output_tokens": 15_000_000,
        "web_searches": 10**10,
    }
)
COUNTS = st.integers(0, 10**9)
PARTS = (
    "fresh",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "web_searches",
)
PROVIDERS = ("openai", "anthropic", "google", "azure", "aws", "mistral", "x-ai", "litellm", None, "")
MODELS = ("gpt-5", "o3", "claude-opus-4-8", "gemini-2.5-pro", "text-embedding-3-small", "whisper-1", "grok-4.3")
TIERS = (None, "default", "flex", "priority", "batch", "fast", "scale")

EARLIEST, LATEST = datetime(1971, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - the strategy adds the zone


def usage_of(parts: dict[str, int]) -> Usage:
    """The inclusive usage that these disjoint parts make up."""
    written = parts["cache_write_5m_tokens"] + parts["cache_write_1h_tokens"]
    given_parts: dict[str, Any] = {name: count for name, count in parts.items() if name != "fresh"}
    return Usage(
        input_tokens=parts["fresh"] + parts["cache_read_tokens"] + written, cache_write_tokens=written, **given_parts
    )


def cost(parts: dict[str, int]) -> int:
    price = RATES.cost(usage_of(parts))
    assert isinstance(price, int)
    return price


disjoint_parts = st.fixed_dictionaries({part: st.integers(0, 10**5) for part in PARTS})


@given(disjoint_parts, disjoint_parts)
def test_what_two_usages_cost_together_is_what_they_cost_apart(one: dict[str, int], other: dict[str, int]) -> None:
    assert cost({part: one[part] + other[part] for part in PARTS}) == cost(one) + cost(other)


@given(disjoint_parts, st.sampled_from(PARTS), st.integers(1, 10**5))
def test_using_more_costs_more(parts: dict[str, int], part: str, more: int) -> None:
    assert cost(parts | {part: parts[part] + more}) > cost(parts)


counts = st.none() | COUNTS | st.integers(0, INT64_MAX)
usages = st.builds(
    Usage,
    **{field.name: counts for field in fields(Usage) if field.name != "read_as_exclusive"},
    read_as_exclusive=st.booleans(),
)
names = st.none() | st.sampled_from(MODELS) | st.text(max_size=300)
calls = st.builds(
    Priceable,
    provider=st.sampled_from(PROVIDERS) | st.text(max_size=300),
    model_served=names,
    model_requested=names,
    requested_at=st.datetimes(EARLIEST, LATEST, timezones=st.timezones() | st.just(UTC)),
    usage=st.none() | usages,
    service_tier=st.sampled_from(TIERS) | st.text(max_size=10),
    speed=st.sampled_from((None, "standard", "fast")) | st.text(max_size=10),
)


@given(calls)
def test_any_call_is_priced_or_tells_why_not(call: Priceable) -> None:
    price = cost_of(call, BOOK)
    if isinstance(price, Priced):
        assert 0 <= price.pico_usd <= INT64_MAX
        assert call.usage is not None
        assert price.reason == (CostReason.USAGE_READ_AS_EXCLUSIVE if call.usage.read_as_exclusive else "")
    else:
        assert price.reason is not CostReason.USAGE_READ_AS_EXCLUSIVE
    assert cost_of(call, BOOK) == price


@given(calls)
def test_a_call_without_counts_has_no_price(call: Priceable) -> None:
    assert cost_of(replace(call, usage=Usage(total_tokens=5)), BOOK) == Unpriced(CostReason.NO_USAGE)
