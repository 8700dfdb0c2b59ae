"""Calls as an OTLP/HTTP export: one span each, named as OpenInference does. Both peers read its texts and token counts.

The messages are written by hand, fields in the order of their numbers, as the official library writes them: the sender
needs none of the peers' packages. Texts go in once, as the JSON that the provider was sent and answered.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from tests.bench.peers.calls import LlmCall

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2
_SPAN_KIND_CLIENT, _STATUS_OK = 3, 1
_NS_PER_MS = 1_000_000

Value = str | int


def export(calls: Sequence[LlmCall]) -> bytes:
    """An `ExportTraceServiceRequest` with a span per call."""
    resource = _attributes(1, {"service.name": "bench"})
    scope = _text(1, "bench")
    spans = b"".join(_message(2, _span(call)) for call in calls)
    return _message(1, _message(1, resource) + _message(2, _message(1, scope) + spans))


def trace_id(call: LlmCall) -> bytes:
    """The call's own trace: the same for the same call, another one for every other."""
    return hashlib.blake2b(f"{call.requested_at_ms}:{call.number}".encode(), digest_size=16).digest()


def attributes(call: LlmCall) -> dict[str, Value]:
    """What the span says of the call."""
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": call.model,
        "llm.provider": "openai",
        "llm.token_count.prompt": call.usage.prompt_tokens,
        "llm.token_count.completion": call.usage.completion_tokens,
        "llm.token_count.total": call.usage.total_tokens,
        "llm.token_count.prompt_details.cache_read": call.usage.cached_tokens,
        "input.value": call.request,
        "input.mime_type": "application/json",
        "output.value": call.response,
        "output.mime_type": "application/json",
        "user.id": call.user,
        "session.id": call.tags["session_id"],
        "metadata": msgspec.json.encode(call.tags).decode(),
    }


def _span(call: LlmCall) -> bytes:
    trace = trace_id(call)
    return b"".join(
        (
            _message(1, trace),
            _message(2, trace[:8]),
            _text(5, "ChatCompletion"),
            _number(6, _SPAN_KIND_CLIENT),
            _instant(7, call.requested_at_ms),
            _instant(8, call.received_at_ms),
            _attributes(9, attributes(call)),
            _message(15, _number(3, _STATUS_OK)),
        )
    )


def _attributes(field: int, values: dict[str, Value]) -> bytes:
    return b"".join(_message(field, _text(1, key) + _message(2, _value(value))) for key, value in values.items())


def _value(value: Value) -> bytes:
    return _text(1, value) if isinstance(value, str) else _number(3, value)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, _LENGTH_DELIMITED) + _varint(len(content)) + content


def _number(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + _varint(number)


def _instant(field: int, ms: int) -> bytes:
    return _tag(field, _FIXED64) + (ms * _NS_PER_MS).to_bytes(8, "little")


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(number: int) -> bytes:
    return bytes(_groups(number))


def _groups(number: int) -> Iterable[int]:
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number
