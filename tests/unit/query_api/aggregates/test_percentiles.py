"""Percentiles: ranks are exact, the numbers are off by less than 0.4 %, and cutting the rows changes nothing."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from query_api.aggregates.percentiles import NO_NUMBERS, SHIFT, Histogram, gathered, middles

NUMBERS = st.floats(1e-6, 1e15, allow_nan=False)


def bin_of(number: float) -> int:
    """As the engine does it."""
    return 0 if number < 1e-6 else int(np.float64(number).view(np.int64)) >> SHIFT


def histogram(*rows: list[float]) -> Histogram:
    pairs = [(row, bin_of(number)) for row, numbers in enumerate(rows) for number in numbers]
    at, bins = np.array(pairs, np.int64).reshape(-1, 2).T
    return gathered(at, bins, np.ones(len(pairs), np.int64))


@given(NUMBERS)
def test_the_middle_of_a_bin_is_near_every_number_in_it(number: float) -> None:
    assert math.isclose(middles(np.array([bin_of(number)]))[0], number, rel_tol=0.004)


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.sampled_from([1, 500, 900, 990, 1000]))
def test_a_percentile_is_near_the_number_of_that_rank(numbers: list[float], per_mille: int) -> None:
    wanted = sorted(numbers)[max(1, -(-len(numbers) * per_mille // 1000)) - 1]
    assert math.isclose(histogram(numbers).quantiles(per_mille, 1)[0], wanted, rel_tol=0.004)


@given(st.lists(st.lists(NUMBERS | st.just(0.0), max_size=9), max_size=5))
def test_rows_do_not_mix(rows: list[list[float]]) -> None:
    together = histogram(*rows).quantiles(500, len(rows)).tolist() if rows else []
    alone = [histogram(numbers).quantiles(500, 1)[0] for numbers in rows]
    np.testing.assert_array_equal(together, alone)


def test_a_few_numbers_far_apart_are_gathered_as_well_as_many_near_each_other() -> None:
    far = gathered(np.array([9, 0, 9]), np.array([500_000, 3, 500_000]), np.array([1, 2, 4]))
    assert (far.rows.tolist(), far.bins.tolist(), far.counts.tolist()) == ([0, 9], [3, 500_000], [2, 5])


def test_nothing_has_no_percentiles() -> None:
    assert np.isnan(NO_NUMBERS.quantiles(500, 2)).all()
    assert len(gathered(*(np.zeros(0, np.int64) for _ in range(3))).rows) == 0


def test_zero_is_told_as_zero() -> None:
    assert histogram([0.0, 0.0, 5e-324]).quantiles(500, 1)[0] == 0
