"""From what a row's payloads say to the columns that are derived from them. A pure function of row and payloads.

A row's derived columns depend on its other columns and its payloads alone, so they can be derived again after an update
and come out the same as if the record had been reported like that.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from ledger.request_log import Bodies, RequestLog, preview
from ledger.usage import Usage
from workers.metadata import first_of
from workers.payloads import Call, Reply, decoded, read_call, read_reply


class Derived(msgspec.Struct, frozen=True):
    """A row that is complete but for its cost, and what only pricing needs."""

    row: RequestLog
    usage: Usage | None
    service_tier: str | None  # the reply's, else the request's
    speed: str | None  # likewise


Price = Callable[[Derived], RequestLog]
"""Gives the row with its cost, or with the reason why it has none."""


def derive(row: RequestLog, call: Call, reply: Reply) -> Derived:
    """The row with every column filled that its payloads tell."""
    bodies = row.bodies or Bodies()
    usage = reply.usage
    tier = reply.service_tier or call.service_tier
    complete = replace(
        row,
        model_served=reply.model,
        provider_response_id=reply.id,
        finish_reason=reply.finish_reason,
        service_tier=tier,
        prompt_preview=preview(call.prompt),
        completion_preview=preview(reply.completion),
        bodies=replace(bodies, prompt=call.prompt, completion=reply.completion, raw_stream=reply.stream),
        **_tokens(usage),
    )
    return Derived(complete, usage, tier, reply.speed or call.speed)


def derive_again(row: RequestLog) -> Derived:
    """The same after an update has changed the row's payloads or model; needs the row's bodies."""
    bodies = row.bodies or Bodies()
    call, reply = read_call(decoded(bodies.raw_request)), read_reply(decoded(bodies.raw_response))
    derived = derive(row, call, reply)
    if row.source != "log_entry":
        return derived
    judged = replace(derived.row, error=reply.error, is_error=reply.has_error_key, streamed=call.streamed)
    return replace(derived, row=judged)


def is_error(status_code: int | None, given_error: str | None, sign: bool) -> bool:
    """Whether the call failed: by its status or a message, or, without a status, by the reply's own sign."""
    if status_code is not None:
        return not 200 <= status_code < 300 or bool(given_error)
    return bool(given_error) or sign


def grouped(row: RequestLog, environment: str | None = None) -> RequestLog:
    """The row with the columns that are taken out of its metadata."""
    metadata = dict(row.metadata)
    return replace(
        row,
        session_id=first_of(metadata, "session_id", "sessionId"),
        trace_id=first_of(metadata, "traceId", "trace_id"),
        environment=environment or first_of(metadata, "environment", "env"),
    )


TOKEN_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)


_counts = attrgetter(*TOKEN_COLUMNS)
_NOTHING_REPORTED = Usage()


def _tokens(usage: Usage | None) -> dict[str, Any]:
    return dict(zip(TOKEN_COLUMNS, _counts(usage or _NOTHING_REPORTED), strict=True))
