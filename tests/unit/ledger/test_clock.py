"""Instants and milliseconds are the same thing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import from_milliseconds, system_clock, to_milliseconds

LAST_MS = to_milliseconds(datetime.max.replace(tzinfo=UTC))
FIRST_MS = to_milliseconds(datetime.min.replace(tzinfo=UTC))


@given(st.integers(FIRST_MS, LAST_MS))
def test_every_millisecond_comes_back(ms: int) -> None:
    at = from_milliseconds(ms)
    assert at.tzinfo is UTC
    assert to_milliseconds(at) == ms


@pytest.mark.parametrize(("microseconds", "ms"), [(0, 0), (999, 0), (1000, 1), (-1, -1), (-1000, -1), (-1001, -2)])
def test_milliseconds_are_rounded_down(microseconds: int, ms: int) -> None:
    assert to_milliseconds(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)) == ms


def test_the_zone_of_an_instant_does_not_matter() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    assert to_milliseconds(datetime(1970, 1, 1, 5, 45, tzinfo=zone)) == 0


def test_the_machines_clock_tells_aware_utc() -> None:
    assert system_clock().tzinfo is UTC
    assert system_clock() <= system_clock()
