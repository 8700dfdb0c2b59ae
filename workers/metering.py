"""Metering: the token counts that a provider's reply reports, whatever the provider's dialect.

The shape of the reply decides how it is read, never the name of the model. What is returned is inclusive: cache and
reasoning lie within the totals. Where a reported total is too small for its parts, the parts are added to it and the
usage is marked. Nothing is estimated: what was not reported is None.
"""

from msgspec.structs import replace

from ledger.usage import Usage
from workers import dialects_of_usage as dialects
from workers.counts import Json, sum_of

_NOTHING = Usage()


def read_usage(reply: Json) -> Usage | None:
    """The usage in a reply, or None when it reports none. Any object gives an answer, never an exception."""
    reported = _as_reported(reply)
    if reported is None or reported == _NOTHING:
        return None
    return inclusive(reported)


def inclusive(reported: Usage) -> Usage:
    """The counts as reported, with parts added to a total that is too small for them, and the total that follows."""
    return _with_total(_with_inclusive_output(_with_inclusive_input(_with_all_written(reported))))


def read_service_tier(reply: Json) -> str | None:
    """The tier that served the call, as the reply names it."""
    return _named(reply, "service_tier")


def read_speed(reply: Json) -> str | None:
    """The speed that served the call, as the reply names it."""
    return _named(reply, "speed")


def _as_reported(reply: Json) -> Usage | None:
    gemini, usage = reply.get("usageMetadata"), reply.get("usage")
    if isinstance(gemini, dict):
        return dialects.gemini(gemini)
    if not isinstance(usage, dict):
        return None
    if reply.get("object") != "response" and ("prompt_tokens" in usage or "completion_tokens" in usage):
        return dialects.chat(usage)  # gateways add other dialects' names to it; its own are inclusive
    if reply.get("type") == "message" or "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        return dialects.anthropic(usage)
    return dialects.responses(usage, reply)


def _with_all_written(usage: Usage) -> Usage:
    """The cache writes by lifetime are parts of all that was written."""
    written = usage.cache_write_tokens
    if written is None:
        return usage
    split = sum_of(usage.cache_write_5m_tokens, usage.cache_write_1h_tokens)
    if split is None or split <= written:
        return usage
    read = None if usage.input_tokens is None else sum_of(usage.input_tokens, split - written)
    return replace(usage, input_tokens=read, cache_write_tokens=split, read_as_exclusive=True)


def _with_inclusive_input(usage: Usage) -> Usage:
    if usage.input_tokens is None:
        return usage
    cached = sum_of(usage.cache_read_tokens, usage.cache_write_tokens)
    perceived = sum_of(usage.audio_input_tokens, usage.image_input_tokens, usage.video_input_tokens)
    read = _including(_including(usage.input_tokens, cached), perceived)
    return usage if read == usage.input_tokens else replace(usage, input_tokens=read, read_as_exclusive=True)


def _with_inclusive_output(usage: Usage) -> Usage:
    if usage.output_tokens is None:
        return usage
    drawn = sum_of(usage.audio_output_tokens, usage.image_output_tokens, usage.video_output_tokens)
    written = _including(_including(usage.output_tokens, drawn), usage.reasoning_tokens)
    if usage.reasoning_tokens and written == usage.output_tokens and _total_counts_reasoning_apart(usage):
        written = sum_of(usage.output_tokens, usage.reasoning_tokens)
    return usage if written == usage.output_tokens else replace(usage, output_tokens=written, read_as_exclusive=True)


def _including(total: int | None, parts: int | None) -> int | None:
    """The total, with the parts added when they do not fit in it."""
    return total if total is None or parts is None or parts <= total else sum_of(total, parts)


def _total_counts_reasoning_apart(usage: Usage) -> bool:
    """Some imitators of OpenAI leave reasoning out of the output; their own total gives it away."""
    known = usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
    return usage.total_tokens is not None and None not in known and usage.total_tokens == sum_of(*known)


def _with_total(usage: Usage) -> Usage:
    """The total that follows from the sides where none was reported, or where the one reported was too small."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return usage
    total, reported = sum_of(usage.input_tokens, usage.output_tokens), usage.total_tokens
    if reported is None or (usage.read_as_exclusive and total is not None and reported < total):
        return replace(usage, total_tokens=total)
    return usage


def _named(reply: Json, name: str) -> str | None:
    value = reply.get(name)
    if isinstance(value, str) and value:
        return value
    usage = reply.get("usage")
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, str) and value else None
