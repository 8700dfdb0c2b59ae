"""The time, as a parameter: whoever needs now takes a `Clock`, so that tests can hand in another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the current instant, aware, in UTC."""


def system_clock() -> datetime:
    """The machine's own clock."""
    return datetime.now(UTC)


def to_milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970 of an aware instant, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def from_milliseconds(ms: int) -> datetime:
    """The aware instant, in UTC, that many milliseconds after 1970."""
    return _EPOCH + ms * _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
