"""Times as clients send them: milliseconds, seconds, numeric text, ISO 8601. All become whole milliseconds in UTC."""

import math
from datetime import UTC, datetime

from ledger.clock import to_milliseconds

SECONDS_BELOW = 1e11
"""A number below this is seconds: as milliseconds it would lie before March 1973."""

EARLIEST_STORED_MS = 0
LATEST_STORED_MS = to_milliseconds(datetime(2262, 1, 1, tzinfo=UTC))
EARLIEST_SANE_MS = to_milliseconds(datetime(2020, 1, 1, tzinfo=UTC))
FUTURE_ALLOWED_MS = 24 * 3600 * 1000


def epoch_ms(value: float | None) -> int | None:
    """Milliseconds since 1970 of a number of milliseconds or, when small, seconds.

    None for None, 0, a number that is not finite, and a time that the store cannot hold.
    """
    if value is None or value == 0 or not math.isfinite(value):
        return None
    ms = math.floor(value * 1000 if abs(value) < SECONDS_BELOW else value)
    return ms if EARLIEST_STORED_MS <= ms <= LATEST_STORED_MS else None


def iso_ms(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO 8601 date and time (no zone: UTC); None when it is none or not storable."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    ms = to_milliseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
    return ms if EARLIEST_STORED_MS <= ms <= LATEST_STORED_MS else None


def created_at(requested_at_ms: int | None, accepted_at_ms: int) -> int:
    """The caller's own time when it is sane (from 2020 to a day after acceptance), else the time of acceptance."""
    if requested_at_ms is None:
        return accepted_at_ms
    sane = EARLIEST_SANE_MS <= requested_at_ms <= accepted_at_ms + FUTURE_ALLOWED_MS
    return requested_at_ms if sane else accepted_at_ms
