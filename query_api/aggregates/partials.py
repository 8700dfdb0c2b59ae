"""Aggregates of groups of rows as values that add up: what is kept for a unit, and how units become an answer.

All numbers are whole, so that adding is exact in any order. Sums that may pass 64 bits come as two columns, the upper
bits and the lower 32. Text and times of a group are its key; None in a key is unknown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from query_api.aggregates.percentiles import ABSENT, NO_NUMBERS, Histogram, Integers, gathered

Key: TypeAlias = tuple[Any, ...]
Regroup: TypeAlias = Callable[[Key], Key | None]

NEVER = -(2**63)
"""Of a peak: there is no number."""

_BYTES_PER_KEY = 200
_BYTES_PER_CHARACTER = 4  # at most


@dataclass(frozen=True, slots=True)
class Partial:
    """Groups with their sums (added), their peaks (of which the largest counts) and the histogram of one number."""

    keys: tuple[Key, ...]
    sums: Integers  # a row per group
    peaks: Integers
    histogram: Histogram = NO_NUMBERS
    characters: int = 0  # of all texts in the keys; told by `partial_from` alone, for only that is kept

    def first_sums(self) -> list[int]:
        """The first sum of each group: its rows, where the measure begins with their count."""
        return list(self.sums[:, 0].tolist()) if self.keys else []

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        numbers = self.sums.nbytes + self.peaks.nbytes + self.histogram.nbytes
        return numbers + _BYTES_PER_KEY * (len(self.keys) + 2) + _BYTES_PER_CHARACTER * self.characters


@dataclass(frozen=True, slots=True)
class Widths:
    """How many columns of each sort a statement answers, in this order."""

    key: int
    sums: int
    peaks: int
    histogram: bool


def partial_from(rows: Sequence[Sequence[Any]], widths: Widths) -> Partial:
    """The groups that a statement found: key, sums, peaks and, of the histogram, two lists (bins and counts)."""
    a, b, c = widths.key, widths.key + widths.sums, widths.key + widths.sums + widths.peaks
    return Partial(
        tuple(tuple(row[:a]) for row in rows),
        np.array([row[a:b] for row in rows], np.int64).reshape(len(rows), widths.sums),
        np.array([row[b:c] for row in rows], np.int64).reshape(len(rows), widths.peaks),
        _histogram([row[c] for row in rows], [row[c + 1] for row in rows]) if widths.histogram else NO_NUMBERS,
        sum(len(value) for row in rows for value in row[:a] if isinstance(value, str)),
    )


def _histogram(bins: Sequence[Sequence[int]], counts: Sequence[Sequence[int]]) -> Histogram:
    lengths = [len(of_row) for of_row in bins]
    total = sum(lengths)
    rows = np.repeat(np.arange(len(bins)), lengths)
    all_bins = np.fromiter(chain.from_iterable(bins), np.int64, total)
    all_counts = np.fromiter(chain.from_iterable(counts), np.int64, total)
    known = all_bins != ABSENT
    return gathered(rows[known], all_bins[known], all_counts[known])


def added(partials: Sequence[Partial], regroup: Regroup | None = None) -> Partial:
    """The aggregate of disjoint sets of rows. `regroup` gives groups another key, and None to those left out."""
    places: dict[Key, int] = {}
    at = [_places(partial.keys, places, regroup) for partial in partials]
    sums = np.zeros((len(places), max((p.sums.shape[1] for p in partials), default=0)), np.int64)
    peaks = np.full((len(places), max((p.peaks.shape[1] for p in partials), default=0)), NEVER, np.int64)
    for partial, rows in zip(partials, at, strict=True):
        kept = rows >= 0
        np.add.at(sums, rows[kept], partial.sums[kept])
        np.maximum.at(peaks, rows[kept], partial.peaks[kept])
    return Partial(tuple(places), sums, peaks, _added_histograms(zip(partials, at, strict=True)))


def _places(keys: Sequence[Key], places: dict[Key, int], regroup: Regroup | None) -> Integers:
    renamed = keys if regroup is None else map(regroup, keys)
    rows = (-1 if key is None else places.setdefault(key, len(places)) for key in renamed)
    return np.fromiter(rows, np.int64, len(keys))


def _added_histograms(of: Iterable[tuple[Partial, Integers]]) -> Histogram:
    rows, bins, counts = [], [], []
    for partial, at in of:
        if len(partial.histogram.rows):
            new = at[partial.histogram.rows]
            kept = new >= 0
            rows.append(new[kept])
            bins.append(partial.histogram.bins[kept].astype(np.int64))
            counts.append(partial.histogram.counts[kept])
    return gathered(np.concatenate(rows), np.concatenate(bins), np.concatenate(counts)) if rows else NO_NUMBERS
