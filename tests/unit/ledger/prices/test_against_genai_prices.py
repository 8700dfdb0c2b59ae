"""For every model, way of asking and boundary in the data: our compiled result equals the calculator of the source."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN
from itertools import product
from typing import Any

import pytest
from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import Usage as TheirUsage
from genai_prices.units import UnitRegistry
from msgspec.structs import replace

from ledger.prices import files
from ledger.prices.book import PriceBook, current_version
from ledger.prices.compiling import compiled
from ledger.prices.rates import Rates
from ledger.prices.reasons import CostReason
from ledger.prices.schedule import Context, Schedule
from ledger.prices.schema import Cliff, DatedPrices, Model, Provider, decode
from ledger.prices.units import COUNTED, NOT_REPORTED, REQUESTS, ROOTS
from ledger.usage import Usage

AN_INSTANT = timedelta(microseconds=1)
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATA = decode(files.read(current_version()))
PROVIDERS = [pytest.param(theirs, ours, id=ours.id) for theirs, ours in zip(providers, DATA.providers, strict=True)]
REGISTRY = UnitRegistry(unit_data)


@dataclass(frozen=True, slots=True)
class Call:
    """When and how a call was made."""

    at: datetime
    context: Context = ()


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(DATA, current_version())


def a_usage_of(size: int) -> Usage:
    """A usage with every part, none of them equal to another."""
    return Usage(
        input_tokens=size,
        cache_read_tokens=size // 5,
        cache_write_tokens=size // 6,
        cache_write_5m_tokens=size // 11,
        cache_write_1h_tokens=size // 13,
        audio_input_tokens=size // 8,
        image_input_tokens=size // 9,
        video_input_tokens=size // 10,
        cache_read_audio_tokens=size // 40,
        cache_read_image_tokens=size // 50,
        output_tokens=997,
        reasoning_tokens=101,
        audio_output_tokens=103,
        image_output_tokens=107,
        video_output_tokens=109,
        web_searches=3,
    )


def as_theirs(usage: Usage) -> TheirUsage:
    return TheirUsage(**{unit: getattr(usage, counted.attribute) for unit, counted in COUNTED.items()})


def without_unrated_sides(usage: Usage, rated: set[str]) -> Usage:
    """The usage of a call that used nothing but what this model has a rate for."""
    kept = {root for root in ROOTS if root in rated}
    sides = frozenset[str]().union(*(COUNTED[root].dimensions for root in kept))
    dropped = {unit.attribute for unit in COUNTED.values() if not unit.dimensions & sides}
    unused: dict[str, Any] = dict.fromkeys(dropped, 0)
    return replace(usage, **unused)


def dated_prices(model: Model) -> list[DatedPrices]:
    return [*model.prices, *(variant.prices for variant in model.variants)]


def units_of(model: Model) -> set[str]:
    return {unit for prices in dated_prices(model) for unit in prices.rates}


def instants(model: Model) -> list[datetime]:
    """Both sides of every boundary of the model, and long before and after."""
    dated = dated_prices(model)
    days = {datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)}
    days |= {datetime.combine(prices.since, time(), UTC) for prices in dated if prices.since}
    times = {at for prices in dated for at in prices.daily or ()} | {time()}
    starts = [datetime.combine(day, at, UTC) for day, at in product(days, times)]
    return [at for start in starts for at in (start - AN_INSTANT, start)]


def sizes(model: Model) -> list[int]:
    """Both sides of every threshold of the model."""
    rates = [rate for prices in dated_prices(model) for rate in prices.rates.values()]
    above = [start for rate in rates if isinstance(rate, Cliff) for start, _ in rate.above]
    return sorted({1000, *above, *(start + 1 for start in above)})


def contexts(model: Model) -> list[Context]:
    return [(), *sorted({tuple(sorted(variant.when.items())) for variant in model.variants})]


def names_of(model: Model) -> set[str]:
    """Names that the model goes by, in several spellings."""
    given = {model.id, *model.match.equals, *model.match.starts_with, *model.match.contains}
    return given | {name.upper() for name in given} | {f"{name}-20251211" for name in given}


def is_offered(model: types.ModelInfo, call: Call) -> bool:
    return not call.context or any(
        variant.when == dict(call.context) and (variant.constraint is None or variant.constraint.active(call.at))
        for variant in model.price_variants or ()
    )


def their_cost(model: types.ModelInfo, provider: types.Provider, usage: Usage, call: Call) -> int:
    price = model.calc_price(
        as_theirs(usage), provider, genai_request_timestamp=call.at, price_context=dict(call.context)
    )
    return int((price.total_price * 10**12).to_integral_value(ROUND_HALF_EVEN))


def expected(theirs: types.ModelInfo, provider: types.Provider, usage: Usage, call: Call) -> int | CostReason:
    """What we owe the reader: their figure, or a reason where theirs leaves something out in silence."""
    prices = theirs.get_prices(call.at, dict(call.context))
    rated = {REGISTRY.unit_for_price_key(key).usage_key for key, price in vars(prices).items() if price is not None}
    if rated - COUNTED.keys() - NOT_REPORTED - {REQUESTS}:
        return CostReason.NO_USAGE
    if any(getattr(usage, COUNTED[root].attribute) for root in ROOTS if root not in rated):
        return 0 if theirs.id.endswith(":free") and not rated and not usage.web_searches else CostReason.NO_RATE
    return their_cost(theirs, provider, usage, call)


@pytest.mark.parametrize(("provider", "ours"), PROVIDERS)
def test_every_price_at_every_boundary_is_theirs(provider: types.Provider, ours: Provider) -> None:
    for theirs, model in zip(provider.models, ours.models, strict=True):
        schedule = Schedule(model)
        for at, context in product(instants(model), contexts(model)):
            call, rates = Call(at, context), schedule.rates(at, context)
            assert (rates is not None) == is_offered(theirs, call), (theirs.id, call)
            for size in sizes(model) if rates else ():
                usage = a_usage_of(size)
                bare = without_unrated_sides(usage, units_of(model))
                for used in (usage, bare):
                    assert rates is not None
                    assert rates.cost(used) == expected(theirs, provider, used, call), (theirs.id, call, size)


@pytest.mark.parametrize(("provider", "ours"), PROVIDERS)
def test_every_name_leads_to_their_model(provider: types.Provider, ours: Provider, book: PriceBook) -> None:
    usage = Usage(input_tokens=1001, output_tokens=103)
    for name in sorted({name for model in ours.models for name in names_of(model)}):
        theirs = provider.find_model(name, all_providers=list(providers))
        if theirs is None:
            continue
        rates = book.lookup(provider.id, (name,), AT)
        assert isinstance(rates, Rates), name
        assert rates.cost(usage) == expected(theirs, provider, usage, Call(AT)), name


def test_the_newest_data_are_those_of_the_installed_package() -> None:
    assert files.read(current_version()) == compiled()


def test_compiling_twice_gives_the_same_bytes() -> None:
    assert compiled() == compiled()
