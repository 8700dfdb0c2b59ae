"""Rates: what each unit costs in one set of circumstances, compiled into vectors of integers.

A part is priced at its own rate and what remains of its parent at the parent's; a part without a rate goes with its
parent. That is linear, so it compiles into one factor per count. Amounts are pico-USD (10**-12 USD). Factors are whole
numbers over one common denominator, and the only rounding (half to even) is the last step.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from operator import attrgetter, mul
from typing import Any

from ledger.prices.reasons import CostReason
from ledger.prices.schema import Cliff, Rate, exact
from ledger.prices.units import COUNTED, NOT_REPORTED, OVERLAPS, REQUESTS, ROOTS
from ledger.usage import INT64_MAX, Usage


@dataclass(frozen=True, slots=True)
class _Segment:
    """The factors for requests of one size class, over the denominator of their `Rates`."""

    factors: tuple[int, ...]  # by place in `Rates._units`
    fixed: int  # for the request itself


class Rates:
    """The rates in force for one call, ready to be applied to its usage."""

    __slots__ = (
        "_denominator",
        "_overlaps",
        "_read",
        "_read_needed",
        "_read_unrated",
        "_remainders",
        "_segments",
        "_starts",
        "_uncounted",
    )

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        units = [unit for unit in COUNTED if unit in rates]
        shares = _shares(units)
        self._starts = sorted({start for rate in rates.values() if isinstance(rate, Cliff) for start, _ in rate.above})
        sizes = [0, *(start + 1 for start in self._starts)]
        exact_segments = [_factors(rates, units, shares, size) for size in sizes]
        self._denominator = lcm(*(amount.denominator for segment in exact_segments for amount in segment))
        self._segments = [_scaled(segment, self._denominator) for segment in exact_segments]
        self._read = _reader(COUNTED[unit].attribute for unit in units)
        self._read_needed = _reader(side for side in ROOTS[:2] if _is_needed(side, rates))
        self._read_unrated = _reader(COUNTED[root].attribute for root in ROOTS if root not in rates)
        self._remainders = [share for share in shares if min(share) < 0]
        self._overlaps = [tuple(map(units.index, (unit, *OVERLAPS[unit]))) for unit in units if unit in OVERLAPS]
        self._uncounted = bool(rates.keys() - COUNTED.keys() - NOT_REPORTED - {REQUESTS})

    def cost(self, usage: Usage) -> int | CostReason:
        """The price of this usage in whole pico-USD, or why there is none."""
        if self._uncounted or None in self._read_needed(usage):
            return CostReason.NO_USAGE
        if any(self._read_unrated(usage)):
            return CostReason.NO_RATE
        counts = self._read(usage)
        if None in counts:
            if self._overlaps and self._is_ambiguous(counts):
                return CostReason.NO_USAGE
            counts = tuple([count or 0 for count in counts])
        for share in self._remainders:
            if sum(map(mul, share, counts)) < 0:
                return CostReason.NO_USAGE  # the parts exceed their total
        segment = self._segments[bisect_left(self._starts, usage.input_tokens or 0)]
        return self._rounded(segment.fixed + sum(map(mul, segment.factors, counts)))

    def _is_ambiguous(self, counts: Sequence[int | None]) -> bool:
        return any(counts[both] is None and counts[one] and counts[other] for both, one, other in self._overlaps)

    def _rounded(self, amount: int) -> int | CostReason:
        pico_usd = amount if self._denominator == 1 else round(Fraction(amount, self._denominator))
        return pico_usd if pico_usd <= INT64_MAX else CostReason.NO_USAGE


def _shares(units: Sequence[str]) -> list[tuple[int, ...]]:
    """For each unit, how what is left of it beside its rated parts is made up of the counts (1 and -1, 0 for most)."""
    left: dict[str, list[int]] = {}
    for unit in sorted(units, key=lambda unit: -len(COUNTED[unit].dimensions)):
        share = [int(other == unit) for other in units]
        for part in left:
            if COUNTED[part].is_within(COUNTED[unit]):
                share = [ours - theirs for ours, theirs in zip(share, left[part], strict=True)]
        left[unit] = share
    return [tuple(left[unit]) for unit in units]


def _factors(
    rates: Mapping[str, Rate], units: Sequence[str], shares: Sequence[tuple[int, ...]], size: int
) -> list[Fraction]:
    """The price of one more of each count, all else equal, and last that of the request itself."""
    amounts = [_rate_at(rates[unit], size) for unit in units]
    columns = zip(*shares, strict=True)
    factors = [sum(map(mul, amounts, column), start=Fraction(0)) for column in columns]
    return [*factors, _rate_at(rates.get(REQUESTS, 0), size)]


def _rate_at(rate: Rate, size: int) -> Fraction:
    if not isinstance(rate, Cliff):
        return exact(rate)
    reached = [amount for start, amount in rate.above if size > start]
    return exact(reached[-1] if reached else rate.base)


def _scaled(amounts: Sequence[Fraction], denominator: int) -> _Segment:
    *factors, fixed = (int(amount * denominator) for amount in amounts)
    return _Segment(tuple(factors), fixed)


def _reader(attributes: Iterable[str]) -> Callable[[Usage], tuple[Any, ...]]:
    """A function of a usage that gives these counts, each an int or None."""
    names = tuple(attributes)
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda usage: (get(usage),)


def _is_needed(side: str, rates: Mapping[str, Rate]) -> bool:
    """Can the price not be told without this total?

    It can when all that the side is priced by is free, and for an output that has no rate at all (embeddings have
    none). An input is never nothing.
    """
    rated = [rates[unit] for unit in rates if unit in COUNTED and COUNTED[unit].dimensions >= COUNTED[side].dimensions]
    if side == "input_tokens" and (not rated or any(isinstance(rate, Cliff) for rate in rates.values())):
        return True
    return any(rate != 0 for rate in rated)
