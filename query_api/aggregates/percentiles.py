"""Numbers ↔ the bins that percentiles are read from.

A bin holds the numbers whose double begins with the same bits: 128 bins between a number and its double. A percentile
is told as the middle of the bin of that rank, which is off by less than 0.4 %; ranks are exact. Counts of bins add up
exactly, whichever way the rows were cut. Numbers below 10**-6, 0 among them, are one bin, told as 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Small = NDArray[np.int32]
Doubles = NDArray[np.float64]

SHIFT = 52 - 7  # of the 52 bits of a double's fraction the first 7 stay, with sign and exponent before them
ABSENT = -1
"""The bin of what is unknown."""

_TINY = 1e-6
_CELLS_PER_NUMBER = 8  # of a table that takes every bin of every row: up to here it is quicker than sorting


def bin_of(column: str) -> str:
    """SQL: the bin of a column of numbers that are not negative; `ABSENT` where it is NULL."""
    number = f"toFloat64(assumeNotNull({column}))"
    bits = f"toInt32(bitShiftRight(reinterpretAsInt64({number}), {SHIFT}))"
    return f"if(isNull({column}), {ABSENT}, if({number} < {_TINY:.6f}, 0, {bits}))"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many numbers fell into each bin of each row. Sorted by row, then bin; neither is there twice."""

    rows: Small
    bins: Small
    counts: Integers

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.rows.nbytes + self.bins.nbytes + self.counts.nbytes

    def quantiles(self, per_mille: int, rows: int) -> Doubles:
        """The number of this rank in each of so many rows; not a number where a row has none."""
        if not len(self.rows):
            return np.full(rows, np.nan)
        seen = np.concatenate(([0], np.cumsum(self.counts)))
        bounds = np.searchsorted(self.rows, np.arange(rows + 1), side="left")
        before, total = seen[bounds[:-1]], seen[bounds[1:]] - seen[bounds[:-1]]
        rank = before + np.maximum(1, -(-total * per_mille // 1000))
        at = np.minimum(np.searchsorted(seen[1:], rank, side="left"), len(self.bins) - 1)
        return np.where(total > 0, middles(self.bins[at].astype(np.int64)), np.nan)


NO_NUMBERS = Histogram(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))


def gathered(rows: Integers, bins: Integers, counts: Integers) -> Histogram:
    """The histogram of bins in any order, some of them there several times."""
    if not len(rows):
        return NO_NUMBERS
    least = int(bins.min())
    width = int(bins.max()) - least + 1
    codes = rows * width + (bins - least)
    if (int(rows.max()) + 1) * width <= _CELLS_PER_NUMBER * len(rows):
        summed = np.bincount(codes, counts).astype(np.int64)  # doubles, exact below 2**53
        codes = np.flatnonzero(summed)
        summed = summed[codes]
    else:
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        first = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
        codes, summed = codes[first], np.add.reduceat(counts[order], first)
    return Histogram((codes // width).astype(np.int32), (codes % width + least).astype(np.int32), summed)


def middles(bins: Integers) -> Doubles:
    """The number that stands for each bin."""
    low = (bins << SHIFT).view(np.float64)
    high = ((bins + 1) << SHIFT).view(np.float64)
    return np.where(bins == 0, 0.0, (low + high) / 2)
