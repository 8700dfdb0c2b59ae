"""A time as the store's engine declares it and reads it."""

from ledger.clock import from_milliseconds

TIME = "DateTime64(3, 'UTC')"


def time_text(ms: int) -> str:
    """Milliseconds since 1970 in the text form that the engine reads as `TIME`."""
    return from_milliseconds(ms).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}"
