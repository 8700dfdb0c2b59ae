"""Streaming: what a raw stream tells, gathered into one reply. OpenAI (chat, responses), Anthropic and Gemini.

A stream that was cut tells what arrived. What only its end would have told stays None: the number of output tokens at
an Anthropic stream's start is a placeholder, not a count.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ledger.usage import Usage
from workers.counts import Json, object_in, objects_among
from workers.metering import read_service_tier, read_speed, read_usage
from workers.sse import objects_in

_KNOWN_ONLY_AT_THE_END = frozenset({"output_tokens", "output_tokens_details"})


class StreamedReply(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream told; None for what it did not."""

    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    completion: str | None = None
    error: str | None = None


def read_stream(text: str) -> StreamedReply:
    """The reply that this raw stream amounts to. Any text gives an answer, never an exception."""
    gathered = _Gathered()
    for chunk in objects_in(text):
        gathered.error = _error_in(chunk) or gathered.error
        _absorber_for(chunk)(gathered, chunk)
    usage = {"type": "message", "usage": gathered.anthropic_usage}
    return StreamedReply(
        usage=gathered.usage or read_usage(usage),
        model=gathered.model,
        response_id=gathered.response_id,
        finish_reason=gathered.finish_reason,
        service_tier=gathered.service_tier or read_service_tier(usage),
        speed=gathered.speed or read_speed(usage),
        completion="".join(gathered.texts) if gathered.texts else gathered.whole_text,
        error=gathered.error,
    )


@dataclass(slots=True)
class _Gathered:
    """What the chunks read so far told."""

    usage: Usage | None = None
    anthropic_usage: dict[str, Any] = field(default_factory=dict)  # merged over the events
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    texts: list[str] = field(default_factory=list)
    whole_text: str | None = None  # the completion in one piece, for streams without pieces
    error: str | None = None

    def identify(self, reply: Json, *, model: str = "model", identity: str = "id") -> None:
        """Take over who answered, and how; the first model and id count, the last tier and speed."""
        self.model = self.model or _text(reply.get(model))
        self.response_id = self.response_id or _text(reply.get(identity))
        self.service_tier = read_service_tier(reply) or self.service_tier
        self.speed = read_speed(reply) or self.speed


_Absorber = Callable[[_Gathered, Json], None]


def _absorber_for(chunk: Json) -> _Absorber:
    kind = chunk.get("type")
    if isinstance(kind, str):
        if kind.startswith("response."):
            return _absorb_response_event
        if kind.startswith(("message_", "content_block_")):
            return _absorb_anthropic_event
    return _absorb_gemini_chunk if "candidates" in chunk or "usageMetadata" in chunk else _absorb_chat_chunk


def _absorb_chat_chunk(gathered: _Gathered, chunk: Json) -> None:
    gathered.identify(chunk)
    gathered.usage = read_usage(chunk) or gathered.usage
    for choice in objects_among(chunk.get("choices")):
        if "usage" in choice or "usageMetadata" in choice:  # where some imitators put it
            gathered.usage = read_usage(choice) or gathered.usage
        if choice.get("index") not in (0, None):
            continue
        gathered.finish_reason = _text(choice.get("finish_reason")) or gathered.finish_reason
        delta = object_in(choice.get("delta") or choice.get("message"))
        gathered.texts += _texts(delta.get("content")) or _texts(choice.get("text"))


def _absorb_response_event(gathered: _Gathered, event: Json) -> None:
    response = object_in(event.get("response"))
    gathered.identify(response)
    gathered.usage = read_usage(response) or gathered.usage
    if event.get("type") == "response.output_text.delta":
        gathered.texts += _texts(event.get("delta"))
    parts = [part for item in objects_among(response.get("output")) for part in objects_among(item.get("content"))]
    gathered.whole_text = "".join(_texts(parts)) or gathered.whole_text


def _absorb_anthropic_event(gathered: _Gathered, event: Json) -> None:
    message, delta = object_in(event.get("message")), object_in(event.get("delta"))
    gathered.identify(message)
    gathered.finish_reason = _text(delta.get("stop_reason")) or gathered.finish_reason
    gathered.texts += _texts(object_in(event.get("content_block")).get("text")) or _texts(delta.get("text"))
    started = {
        name: count for name, count in object_in(message.get("usage")).items() if name not in _KNOWN_ONLY_AT_THE_END
    }
    for name, count in (started | object_in(event.get("usage"))).items():
        # counts only grow, so a later 0 is a gateway's filler, not news
        if count is not None and (count != 0 or name not in gathered.anthropic_usage):
            gathered.anthropic_usage[name] = count


def _absorb_gemini_chunk(gathered: _Gathered, chunk: Json) -> None:
    gathered.identify(chunk, model="modelVersion", identity="responseId")
    gathered.usage = read_usage(chunk) or gathered.usage
    for candidate in objects_among(chunk.get("candidates"))[:1]:
        gathered.finish_reason = _text(candidate.get("finishReason")) or gathered.finish_reason
        gathered.texts += _texts(object_in(candidate.get("content")).get("parts"))


def _error_in(chunk: Json) -> str | None:
    """The message of an error event, in any of the dialects."""
    if "error" not in chunk and "response" not in chunk and chunk.get("type") != "error":
        return None
    error = chunk.get("error") or object_in(chunk.get("response")).get("error")
    if isinstance(error, dict):
        return _text(error.get("message")) or _text(error.get("type")) or "error"
    if chunk.get("type") == "error":
        return _text(chunk.get("message")) or _text(error) or "error"
    return _text(error)


def _texts(content: object) -> list[str]:
    """The texts of a content: a text, or a list of parts that have one."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in objects_among(content) if isinstance(part.get("text"), str)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
