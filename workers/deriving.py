"""From what a row's payloads say to the columns that are derived from them. A pure function of row and payloads.

A row's derived columns depend on its other columns and its payloads alone, so they can be derived again after an update
and come out the same as if the record had been reported like that.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from ledger.request_log import Bodies, RequestLog, preview
from ledger.usage import Usage
from workers.metadata import Pairs, first_of
from workers.payloads import Call, Reply, decoded, read_call
from workers.usual_replies import reply_in


class Derived(msgspec.Struct, frozen=True):
    """A row that is complete but for its cost, and what only pricing needs."""

    row: RequestLog
    usage: Usage | None
    service_tier: str | None  # the reply's, else the request's
    speed: str | None  # likewise


Price = Callable[[Derived], RequestLog]
"""Gives the row with its cost, or with the reason why it has none."""


def derived_columns(call: Call, reply: Reply) -> dict[str, Any]:
    """Every column that a row's payloads tell, but for its bodies."""
    usage = reply.usage or _NOTHING_REPORTED
    return {
        "model_served": reply.model,
        "provider_response_id": reply.id,
        "finish_reason": reply.finish_reason,
        "service_tier": reply.service_tier or call.service_tier,
        "prompt_preview": preview(call.prompt),
        "completion_preview": preview(reply.completion),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
    }


_NOTHING_REPORTED = Usage()


def grouping_columns(metadata: Pairs, environment: str | None = None) -> dict[str, Any]:
    """The columns that are taken out of a row's metadata."""
    values = dict(metadata)
    return {
        "session_id": first_of(values, "session_id", "sessionId"),
        "trace_id": first_of(values, "traceId", "trace_id"),
        "environment": environment or first_of(values, "environment", "env"),
    }


def for_pricing(row: RequestLog, call: Call, reply: Reply) -> Derived:
    """The row with its derived columns, ready to be priced."""
    return Derived(row, reply.usage, row.service_tier, reply.speed or call.speed)


def derive_again(row: RequestLog) -> Derived:
    """The row after an update has changed its payloads or model; needs the row's bodies."""
    bodies = row.bodies or Bodies()
    call, reply = read_call(decoded(bodies.raw_request)), reply_in(bodies.raw_response)
    bodies = replace(bodies, prompt=call.prompt, completion=reply.completion, raw_stream=reply.stream)
    derived = replace(row, bodies=bodies, **derived_columns(call, reply))
    if row.source == "log_entry":
        derived = replace(derived, error=reply.error, is_error=reply.has_error_key, streamed=call.streamed)
    return for_pricing(derived, call, reply)


def is_error(status_code: int | None, given_error: str | None, sign: bool) -> bool:
    """Whether the call failed: by its status or a message, or, without a status, by the reply's own sign."""
    if status_code is not None:
        return not 200 <= status_code < 300 or bool(given_error)
    return bool(given_error) or sign
