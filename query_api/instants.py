"""Bounds in time as our own read API takes them: ISO 8601, or relative to now (`now`, `now-15m`, `now-7d`)."""

import re

from ledger.clock import Clock, to_milliseconds
from ledger.instants import iso_ms
from query_api.errors import BadParameter

_RELATIVE = re.compile(r"now(?:-(\d{1,6})([smhdw]))?", re.ASCII)
_MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def bound_ms(name: str, text: str | None, clock: Clock) -> int | None:
    """Milliseconds since 1970; None when the bound is not given. Raises `BadParameter`."""
    if text is None:
        return None
    relative = _RELATIVE.fullmatch(text)
    if relative is None:
        ms = iso_ms(text)
        if ms is None:
            raise BadParameter(name, "must be an ISO 8601 time or like now-1h (units: s, m, h, d, w)")
        return ms
    amount, unit = relative.groups()
    now = to_milliseconds(clock())
    return max(0, now - int(amount) * _MILLISECONDS[unit]) if amount else now
