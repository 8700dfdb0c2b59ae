"""Compiling: from the data of the genai-prices package to a price data file of ours.

The only module that imports genai-prices. Run as `python -m ledger.prices.compiling` after its version changed: when
the data changed too, the result becomes a further version beside the older ones, which stay as they are.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import version as version_of_package
from itertools import chain
from pathlib import Path

from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.units import UnitDef, UnitRegistry
from genai_prices.validation import validate_priced_units

from ledger.prices import schema
from ledger.prices.files import FOLDER, append
from ledger.prices.units import COUNTED

_PACKAGE = "genai-prices"
_PICO_USD = 10**12
_REGISTRY = UnitRegistry(unit_data)

_FREE_SUFFIX = ":free"
"""A provider's word that the call costs nothing. The source gives such models no rates, as it does unpriced ones."""


def compiled(source: Iterable[types.Provider] = providers) -> bytes:
    """The content of a price data file. Raises `ValueError` for a rate or a rule that has no exact counterpart."""
    return schema.encode(schema.PriceData(format=schema.FORMAT, providers=tuple(map(_provider, source))))


def _provider(source: types.Provider) -> schema.Provider:
    return schema.Provider(
        id=source.id,
        models=tuple(map(_model, source.models)),
        named=_match(source.provider_match),
        claims=_match(source.model_match),
        also_serves=tuple(source.fallback_model_providers or ()),
    )


def _model(source: types.ModelInfo) -> schema.Model:
    if isinstance(source.prices, list):
        prices = tuple(_dated(one.prices, one.constraint) for one in source.prices)
    else:
        prices = (_dated(source.prices, None),)
    if source.id.endswith(_FREE_SUFFIX):
        prices = tuple(_free_unless_rated(dated) for dated in prices)
    return schema.Model(
        id=source.id,
        match=_match(source.match),
        prices=prices,
        variants=tuple(
            schema.Variant(when=variant.when, prices=_dated(variant.prices, variant.constraint))
            for variant in source.price_variants or ()
        ),
    )


def _dated(
    prices: types.ModelPrice, constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None
) -> schema.DatedPrices:
    since = constraint.start_date if isinstance(constraint, types.StartDateConstraint) else None
    daily = None
    if isinstance(constraint, types.TimeOfDateConstraint):
        daily = _utc(constraint.start_time), _utc(constraint.end_time)
    rated = [(_REGISTRY.unit_for_price_key(key), price) for key, price in vars(prices).items() if price is not None]
    validate_priced_units([unit for unit, _ in rated], _REGISTRY)
    return schema.DatedPrices({unit.usage_key: _rate(price, unit) for unit, price in rated}, since, daily)


def _free_unless_rated(prices: schema.DatedPrices) -> schema.DatedPrices:
    free: dict[str, schema.Rate] = {"input_tokens": 0, "output_tokens": 0}
    return schema.DatedPrices(prices.rates or free, prices.since, prices.daily)


def _utc(at: time) -> time:
    """The time of day in UTC, without its zone."""
    if at.tzinfo is None:
        return at
    return datetime.combine(date(1970, 1, 1), at).astimezone(UTC).time()


def _rate(price: Decimal | types.TieredPrices, unit: UnitDef) -> schema.Rate:
    if isinstance(price, Decimal):
        return _amount(price, unit)
    if unit.usage_key not in COUNTED:
        raise ValueError(f"{unit.usage_key} has a rate by size, which is only known for counted units")
    return schema.Cliff(
        _amount(price.base, unit), tuple((tier.start, _amount(tier.price, unit)) for tier in price.tiers)
    )


def _amount(price: Decimal, unit: UnitDef) -> schema.Amount:
    """Pico-USD per single unit, exactly."""
    if not price.is_finite() or price < 0:
        raise ValueError(f"{price} is no rate for {unit.usage_key}")
    amount = Fraction(price) * _PICO_USD / unit.per
    return amount.numerator if amount.denominator == 1 else str(amount)


def _match(clause: types.MatchLogic | None) -> schema.Match:
    match clause:
        case None:
            return schema.Match()
        case types.ClauseOr(or_=clauses):
            return _either([_match(one) for one in clauses])
        case types.ClauseAnd(and_=clauses):
            return schema.Match(every=(tuple(_match(one) for one in clauses),))
        case types.ClauseRegex(regex=pattern):
            return schema.Match(regex=(pattern,))
        case _:
            return _simple(clause)


def _simple(clause: object) -> schema.Match:
    match clause:
        case types.ClauseEquals(equals=text):
            return schema.Match(equals=(text.lower(),))
        case types.ClauseStartsWith(starts_with=text):
            return schema.Match(starts_with=(text.lower(),))
        case types.ClauseEndsWith(ends_with=text):
            return schema.Match(ends_with=(text.lower(),))
        case types.ClauseContains(contains=text):
            return schema.Match(contains=(text.lower(),))
        case _:
            raise ValueError(f"{clause!r} is a rule of an unknown kind")


def _either(rules: Sequence[schema.Match]) -> schema.Match:
    """One rule that holds when any of these does."""
    return schema.Match(
        **{test: tuple(chain.from_iterable(getattr(rule, test) for rule in rules)) for test in schema.TESTS}
    )


def main(folder: Path = FOLDER) -> None:
    """Compile, and append the result when it is new."""
    version = append(compiled(), f"{_PACKAGE} {version_of_package(_PACKAGE)}", folder)
    sys.stdout.write(f"Appended version {version}.\n" if version else "The data did not change.\n")


if __name__ == "__main__":  # pragma: no cover - main is tested
    main()
