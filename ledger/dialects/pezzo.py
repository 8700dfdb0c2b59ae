"""What a report of the Pezzo family says, whoever asks: the API that checks it or the worker that stores it.

Every function is pure. On a body that the API accepted none of them raises; on any other they raise `Invalid`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.dialects import cut, value_of
from ledger.dialects.openpipe import status_of
from ledger.instants import iso_ms

Fields = Mapping[str, msgspec.Raw]

KNOWN_KEYS = frozenset({"metadata", "properties", "request", "response", "cacheEnabled", "cacheHit"})
METADATA_KEYS = frozenset(
    {"provider", "client", "clientVersion", "environment", "promptId", "promptVersionSha", "type"}
)
REQUEST_KEYS = frozenset({"timestamp", "body"})
RESPONSE_KEYS = frozenset({"timestamp", "body", "status"})
PROVIDERS = ("OpenAI", "Azure", "Anthropic")


class Calculated(msgspec.Struct, frozen=True):
    """The figures that the API answers at once. None is unknown; durations are milliseconds."""

    duration: int | None
    promptTokens: int | None
    completionTokens: int | None
    totalTokens: int | None


class _Reply(msgspec.Struct):
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_reply = msgspec.json.Decoder(_Reply)
_COUNTS = range(2**63)
_MAX_USAGE_BYTES = 64 * 1024


def part_of(fields: Fields, name: str) -> dict[str, msgspec.Raw]:
    """The slices of `request` or `response`; empty when it is absent or null."""
    raw = fields.get(name)
    return cut(raw) if raw is not None and bytes(memoryview(raw)[:1]) != b"n" else {}


def timestamp_ms(part: Fields) -> int | None:
    """The part's `timestamp` in milliseconds since 1970; None when it is not told, no time or not storable."""
    text = value_of(part.get("timestamp"))
    return iso_ms(text) if isinstance(text, str) else None


def status_code(response: Fields) -> int | None:
    """The provider's HTTP status; None when not told."""
    return status_of(value_of(response.get("status")))


def calculated_of(request: Fields, response: Fields) -> Calculated:
    """Duration and tokens, as far as the two parts tell them. Reads nothing of the reply but its `usage`."""
    return calculated(timestamp_ms(request), timestamp_ms(response), _usage_of(response.get("body")))


def calculated(started: int | None, ended: int | None, usage: msgspec.Raw | None) -> Calculated:
    """The same of the two times, in milliseconds since 1970, and the reply's `usage`."""
    counts = _counts_of(usage)
    prompt, completion = _prompt_tokens(counts), _count(counts, "completion_tokens", "output_tokens")
    total = None if prompt is None or completion is None else prompt + completion
    return Calculated(_duration(started, ended), prompt, completion, total)


def _duration(started: int | None, ended: int | None) -> int | None:
    return None if started is None or ended is None or ended < started else ended - started


def _usage_of(body: msgspec.Raw | None) -> msgspec.Raw | None:
    if body is None:
        return None
    try:
        usage = _reply.decode(body).usage
    except msgspec.ValidationError:
        return None  # null: there was no reply
    return None if usage is msgspec.UNSET else usage


def _counts_of(usage: msgspec.Raw | None) -> dict[str, Any]:
    if usage is None or len(bytes(usage)) > _MAX_USAGE_BYTES:
        return {}
    value = value_of(usage)
    return value if isinstance(value, dict) else {}


def _prompt_tokens(usage: Mapping[str, Any]) -> int | None:
    """Everything that was read. Anthropic counts what came from and went to its cache beside `input_tokens`."""
    read = _count(usage, "prompt_tokens", "input_tokens")
    if read is None or "prompt_tokens" in usage:
        return read
    beside = (_count(usage, name) for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return read + sum(count for count in beside if count is not None)


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value in _COUNTS:
            return value
    return None
