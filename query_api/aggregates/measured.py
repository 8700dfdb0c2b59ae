"""Aggregates of calls → the numbers that are shown, row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from query_api.aggregates.measures import FIRST_TOKEN, STATISTICS, TOKENS, Measure
from query_api.aggregates.partials import NEVER, Key, Partial
from query_api.aggregates.schemas import Distribution, Total
from query_api.views import usd

_AS_DOUBLE = Struct("<d")
PER_MILLE = (500, 900, 950, 990)
Fields = Mapping[str, Any]


def numbers(measure: Measure, sums: Sequence[int]) -> list[int]:
    """The sums of one group, each in one number, in the order of the measure."""
    left = iter(sums)
    return [(next(left) << 32) + next(left) if item.wide else next(left) for item in measure.sums]


def total(known: int, sum_: int, requests: int) -> Total:
    """A sum as it is shown: without a call there is nothing unknown."""
    return Total(sum_ if known or not requests else None, known)


@dataclass(frozen=True, slots=True)
class _Quantiles:
    """The percentiles of every group, and the places of the groups."""

    places: Mapping[Key, int]
    columns: tuple[list[float], ...]

    def of(self, key: Key, most: float) -> list[float]:
        """None is above the largest number itself."""
        return [round(min(column[self.places[key]], most), 3) for column in self.columns]


def _quantiles(partial: Partial) -> _Quantiles:
    columns = tuple(partial.histogram.quantiles(per_mille, len(partial.keys)).tolist() for per_mille in PER_MILLE)
    return _Quantiles({key: place for place, key in enumerate(partial.keys)}, columns)


class Measured:
    """The fields of `Measures` for every key of the two aggregates that belong to one question."""

    def __init__(self, calls: Partial, first_tokens: Partial) -> None:
        self._calls, self._first = calls, first_tokens
        self._latency, self._ttft = _quantiles(calls), _quantiles(first_tokens)

    def requests(self, key: Key) -> int:
        """How many calls there are."""
        place = self._latency.places.get(key)
        return 0 if place is None else int(self._calls.sums[place, 0])

    def fields(self, key: Key) -> Fields:
        """Of a key without calls everything is 0 or null."""
        place = self._latency.places.get(key)
        sums = [0] * self._calls.sums.shape[1] if place is None else self._calls.sums[place].tolist()
        requests, errors, *rest = numbers(STATISTICS, sums or [0] * STATISTICS.widths(0).sums)
        pairs = list(zip(rest[::2], rest[1::2], strict=True))
        tokens = {name: total(*pair, requests) for name, pair in zip(TOKENS, pairs, strict=False)}
        (priced, cost), (timed, microseconds) = pairs[len(TOKENS) :]
        most = 0.0 if place is None else double(int(self._calls.peaks[place, 0]))
        return {
            "requests": requests,
            "errors": errors,
            "error_rate": round(errors / requests, 6) if requests else None,
            **tokens,
            "cost": usd(cost) if priced or not requests else None,
            "unpriced": requests - priced,
            "latency_ms": _distribution(timed, microseconds / 1000, most, self._latency, key),
            "ttft_ms": self._first_token(key),
        }

    def _first_token(self, key: Key) -> Distribution:
        place = self._ttft.places.get(key)
        if place is None:
            return _distribution(0, 0.0, 0.0, self._ttft, key)
        known, milliseconds = numbers(FIRST_TOKEN, self._first.sums[place].tolist())
        return _distribution(known, milliseconds, float(self._first.peaks[place, 0]), self._ttft, key)


def _distribution(known: int, sum_ms: float, most: float, quantiles: _Quantiles, key: Key) -> Distribution:
    if not known:
        return Distribution(0, *[None] * 6)
    return Distribution(known, round(sum_ms / known, 3), round(most, 3), *quantiles.of(key, most))


def double(bits: int) -> float:
    """The number of these bits; 0 for `NEVER`."""
    number: float = 0.0 if bits == NEVER else _AS_DOUBLE.unpack(bits.to_bytes(8, "little"))[0]
    return number
