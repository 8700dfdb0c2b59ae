"""How many rows a second are granted."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.errors import TooBusy
from query_api.tail.allowance import Allowance
from query_api.tail.seats import Seats


@dataclass(slots=True)
class Hand:
    """A clock that is moved by hand."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_seconds_worth_may_go_at_once_and_then_as_many_as_time_has_passed() -> None:
    clock = Hand()
    allowance = Allowance(10, clock)
    assert [allowance.take(8), allowance.take(8), allowance.take(8)] == [8, 2, 0]
    clock.at = 0.55
    assert allowance.take(8) == 5
    clock.at = 100.0
    assert [allowance.take(50), allowance.take(1)] == [10, 0]


@given(st.integers(1, 500), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 600)), max_size=30))
def test_never_more_are_granted_than_were_saved_up(rate: int, story: list[tuple[float, int]]) -> None:
    clock, granted = Hand(), 0
    allowance = Allowance(rate, clock)
    for seconds, wanted in story:
        clock.at += seconds
        given_now = allowance.take(wanted)
        assert 0 <= given_now <= min(wanted, rate)
        granted += given_now
    assert granted <= rate * (1 + clock.at) + 1e-6


def test_seats_are_counted_by_project_and_in_all() -> None:
    seats = Seats(of_project=1, in_all=2)
    with seats.taken("shop"):
        with pytest.raises(TooBusy):
            seats.require("shop")
        with seats.taken(None), pytest.raises(TooBusy):
            seats.require("bank")
        seats.require("bank")
    seats.require("shop")
    assert seats.count == 0
