"""Facts: what one dialect says about a call, before anything is derived from the payloads. None is unknown."""

from collections.abc import Mapping
from typing import Any

import msgspec

from workers.media import StoredItem
from workers.metadata import Pairs
from workers.payloads import NO_CALL, NO_REPLY, Call, Reply


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect's own statements. Money is pico-USD, times are milliseconds since 1970."""

    source: str
    requested_at: int
    received_at: int | None = None
    duration_ms: float | None = None
    provider: str | None = None
    model_requested: str | None = None
    status_code: int | None = None
    error: str | None = None
    error_without_status: bool = False  # the dialect's own sign of an error, used when no status was given
    streamed: bool = False
    cached: bool = False
    user_id: str | None = None
    environment: str | None = None
    description: str | None = None
    metadata: Pairs = ()
    cost_provided: int | None = None
    raw_request: str | None = None
    raw_response: str | None = None
    media: tuple[StoredItem, ...] = ()
    extra: Mapping[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    call: Call = NO_CALL  # what the request payload says
    reply: Reply = NO_REPLY  # what the reply payload says


def text_or_none(value: Any) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None
