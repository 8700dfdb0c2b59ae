"""Times as clients send them."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import to_milliseconds
from ledger.instants import (
    EARLIEST_SANE_MS,
    EARLIEST_STORED_MS,
    FUTURE_ALLOWED_MS,
    LATEST_STORED_MS,
    SECONDS_BELOW,
    created_at,
    epoch_ms,
    iso_ms,
)

NOW = to_milliseconds(datetime(2026, 3, 14, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1726000000000, 1726000000000),
        (1726000000000.9, 1726000000000),
        (1726000000, 1726000000000),
        (1726000000.1234, 1726000000123),
        (SECONDS_BELOW, 100_000_000_000),
        (1, 1000),
        (0.0004, 0),
        (LATEST_STORED_MS, LATEST_STORED_MS),
        (LATEST_STORED_MS + 1, None),
        (-1, None),
        (-1726000000000, None),
        (0, None),
        (None, None),
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        (2**63, None),
    ],
)
def test_numbers_are_milliseconds_or_when_small_seconds(value: float | None, ms: int | None) -> None:
    assert epoch_ms(value) == ms


@given(st.floats() | st.integers())
def test_any_number_is_a_storable_time_or_none(value: float) -> None:
    ms = epoch_ms(value)
    assert ms is None or EARLIEST_STORED_MS <= ms <= LATEST_STORED_MS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-14T15:09:26.535Z", datetime(2026, 3, 14, 15, 9, 26, 535_000, tzinfo=UTC)),
        ("2026-03-14T15:09:26", datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)),
        ("2026-03-14T16:09:26+01:00", datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)),
        ("2026-03-14", datetime(2026, 3, 14, tzinfo=UTC)),
    ],
)
def test_iso_texts_are_times_in_utc_unless_they_say_otherwise(text: str, expected: datetime) -> None:
    assert iso_ms(text) == to_milliseconds(expected)


@pytest.mark.parametrize("text", ["", "noon", "1726000000000x", "1969-12-31T23:59:59Z", "2300-01-01", "0001-01-01"])
def test_other_texts_and_times_beyond_the_store_are_none(text: str) -> None:
    assert iso_ms(text) is None


@given(st.text() | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()))
def test_any_text_is_a_storable_time_or_none(text: str) -> None:
    ms = iso_ms(text)
    assert ms is None or EARLIEST_STORED_MS <= ms <= LATEST_STORED_MS


@pytest.mark.parametrize(
    ("requested", "created"),
    [
        (None, NOW),
        (NOW - 1, NOW - 1),
        (EARLIEST_SANE_MS, EARLIEST_SANE_MS),
        (EARLIEST_SANE_MS - 1, NOW),
        (NOW + FUTURE_ALLOWED_MS, NOW + FUTURE_ALLOWED_MS),
        (NOW + FUTURE_ALLOWED_MS + 1, NOW),
        (0, NOW),
    ],
)
def test_a_record_is_created_when_the_caller_says_if_that_is_sane(requested: int | None, created: int) -> None:
    assert created_at(requested, NOW) == created
