"""The form of a price data file: JSON that says which names a model goes by and what each unit of it costs.

A file never changes once it is published; its version is a hash of its content. Rates are exact: a whole number of
pico-USD (10**-12 USD) per single unit, or a fraction of two of them as the text "numerator/denominator".
"""

from datetime import date, time
from fractions import Fraction
from hashlib import sha256

import msgspec

FORMAT = 1
"""Raised when the same data would have to be read differently, so that the version changes with it."""

_VERSION_DIGITS = 12

Amount = int | str
"""Pico-USD per unit: whole, or "numerator/denominator"."""


class Match(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A rule about a lower-case name. It holds when any of its tests does; without a test it never holds."""

    equals: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()
    ends_with: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()  # searched for anywhere in the name
    every: tuple[tuple["Match", ...], ...] = ()  # a group holds when each rule in it does


TESTS: tuple[str, ...] = Match.__struct_fields__
"""The names of the tests that a `Match` can make."""


class Cliff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rate that depends on the size of the request: beyond a threshold all of it costs the higher rate."""

    base: Amount
    above: tuple[tuple[int, Amount], ...]  # (input tokens that must be exceeded, rate), rising


Rate = int | str | Cliff


class DatedPrices(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rates per unit, and when they are in force; without `since` and `daily` always."""

    rates: dict[str, Rate] = {}
    since: date | None = None  # from midnight UTC of this day
    daily: tuple[time, time] | None = None  # between these times of day (UTC); may span midnight


class Variant(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rates that replace the standard ones for requests made in this way, such as `service_tier: flex`."""

    when: dict[str, str]
    prices: DatedPrices


class Model(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One model of one provider. Of its prices the last one in force applies, else the first."""

    id: str
    match: Match
    prices: tuple[DatedPrices, ...]
    variants: tuple[Variant, ...] = ()


class Provider(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One provider: the names it goes by, the model names that are its own, and whose models it also serves."""

    id: str
    models: tuple[Model, ...]
    named: Match = Match()
    claims: Match = Match()
    also_serves: tuple[str, ...] = ()


class PriceData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file. The order of providers and models counts: the first match wins."""

    format: int
    providers: tuple[Provider, ...]


_DECODER = msgspec.json.Decoder(PriceData)


def encode(data: PriceData) -> bytes:
    """The content of a file; equal data give equal bytes."""
    return msgspec.json.encode(data, order="sorted")


def decode(content: bytes) -> PriceData:
    """The data in a file. Raises `msgspec.ValidationError` when it is not of this form, or of another format."""
    data = _DECODER.decode(content)
    if data.format != FORMAT:
        raise msgspec.ValidationError(f"Price data of format {data.format}; this program reads format {FORMAT}.")
    return data


def version_of(content: bytes) -> str:
    """The short hash by which a file's content is known."""
    return sha256(content).hexdigest()[:_VERSION_DIGITS]


def exact(amount: Amount) -> Fraction:
    """The amount as a number."""
    return Fraction(amount)
