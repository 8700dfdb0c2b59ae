"""Trying again: as long as waiting can help, and no longer."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BusUnavailable, StoreUnavailable, Unavailable
from ledger.store import DataRefused, StoreBroken
from workers.retrying import RetryPolicy, retrying


@dataclass
class Patience:
    """Sleeping that only remembers."""

    slept: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass
class Flaky:
    """Fails so many times."""

    failures: int
    error: Exception = field(default_factory=StoreUnavailable)
    attempts: int = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error
        return "done"


async def test_what_succeeds_is_not_repeated() -> None:
    action, patience = Flaky(0), Patience()
    assert await retrying(action, RetryPolicy(), patience) == "done"
    assert (action.attempts, patience.slept) == (1, [])


@pytest.mark.parametrize("error", [StoreUnavailable(), BusUnavailable(), Unavailable()])
async def test_what_is_unavailable_is_tried_until_it_is_there(error: Exception) -> None:
    action, patience = Flaky(1000, error), Patience()
    assert await retrying(action, RetryPolicy(base_delay=0.5, max_delay=3), patience) == "done"
    assert patience.slept[:5] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert (action.attempts, len(patience.slept)) == (1001, 1000)


@pytest.mark.parametrize("error", [DataRefused(), StoreBroken(), ValueError("bug")])
async def test_every_other_error_ends_it_at_once(error: Exception) -> None:
    action, patience = Flaky(1, error), Patience()
    with pytest.raises(type(error)):
        await retrying(action, RetryPolicy(), patience)
    assert (action.attempts, patience.slept) == (1, [])


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(2, 10**6))
def test_delays_grow_up_to_their_limit_for_ever(base: float, limit: float, attempt: int) -> None:
    policy = RetryPolicy(base, limit)
    assert 0 < policy.delay_before(attempt) <= policy.delay_before(attempt + 1) <= limit
    assert policy.delay_before(2) == min(base, limit)
