"""What a request payload and a reply payload say, whatever provider's shape they have. Unknown is None.

Payloads are other people's JSON: every look at one is guarded by its type, and nothing in one can raise.
"""

from typing import Any

import msgspec

from ledger.errors import Invalid
from ledger.json_text import check_json_text, readable
from ledger.usage import Usage
from workers.counts import Json, objects_among
from workers.metering import read_service_tier, read_speed, read_usage
from workers.streaming import read_stream


class Call(msgspec.Struct, frozen=True):
    """What the request payload asks for."""

    model: str | None = None
    streamed: bool = False
    user: str | None = None
    prompt: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    metadata: Json = msgspec.field(default_factory=dict)


class Reply(msgspec.Struct, frozen=True):
    """What the provider answered."""

    model: str | None = None
    id: str | None = None
    completion: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    usage: Usage | None = None
    error: str | None = None
    has_error_key: bool = False
    stream: str | None = None  # the raw server-sent events, when that is what came


NO_CALL = Call()
NO_REPLY = Reply()


def decoded(text: str | None) -> Any:
    """The payload's value, None when there is none. A string that holds a JSON object is read as that object."""
    value = _json(text)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        inner = _inner(value)
        return inner if isinstance(inner, dict) else value
    return value


def _inner(text: str) -> Any:
    """JSON inside of a string. The check of the whole body did not look into it, so it has one of its own."""
    body = readable(text.encode())
    try:
        check_json_text(body)
    except Invalid:
        return None
    return _json(body.decode())


def stream_in(value: Any) -> str | None:
    """The raw server-sent events, when that is what the payload is."""
    if isinstance(value, str) and value.lstrip().startswith(("data:", "event:", ":")):
        return value
    return None


def read_call(value: Any) -> Call:
    """What this request payload says."""
    if not isinstance(value, dict):
        return NO_CALL
    metadata = value.get("metadata")
    return Call(
        model=_text(value, "model"),
        streamed=value.get("stream") is True,
        user=_text(value, "user"),
        prompt=_joined(_prompt_texts(value)),
        service_tier=_text(value, "service_tier"),
        speed=_text(value, "speed"),
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def read_reply(value: Any) -> Reply:
    """What this reply payload says; raw server-sent events are merged first."""
    stream = stream_in(value)
    if stream is not None:
        return _streamed(stream)
    if not isinstance(value, dict):
        return NO_REPLY
    return Reply(
        model=_text(value, "model") or _text(value, "modelVersion"),
        id=_text(value, "id"),
        completion=_completion(value),
        finish_reason=_finish_reason(value),
        service_tier=read_service_tier(value),
        speed=read_speed(value),
        usage=read_usage(value),
        error=_error(value),
        has_error_key=value.get("error") is not None,
    )


def names_an_error(text: str) -> bool:
    """Whether the payload is an object with the key `error`, even when that is null."""
    if "error" not in text and "\\u" not in text:  # a key can be written with escapes
        return False
    value = decoded(text)
    return isinstance(value, dict) and "error" in value


def _streamed(stream: str) -> Reply:
    merged = read_stream(stream)
    return Reply(
        model=merged.model,
        id=merged.response_id,
        completion=merged.completion,
        finish_reason=merged.finish_reason,
        service_tier=merged.service_tier,
        speed=merged.speed,
        usage=merged.usage,
        error=merged.error,
        has_error_key=merged.error is not None,
        stream=stream,
    )


def _prompt_texts(request: Json) -> list[str]:
    """The system prompt first where a provider keeps it apart, then the messages in their order."""
    texts: list[str] = []
    for key in ("system", "instructions", "systemInstruction", "system_instruction"):
        if key in request:
            _add_texts(request[key], texts)
    for key in ("messages", "prompt", "input", "contents"):
        if request.get(key) is not None:
            _add_texts(request[key], texts)
            break
    return texts


def texts_in(value: Any) -> list[str]:
    """The texts of a message, a list of messages, a content part or a list of parts, in order."""
    texts: list[str] = []
    _add_texts(value, texts)
    return texts


def _add_texts(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            _add_texts(item, texts)
    elif isinstance(value, dict):
        for key in ("content", "parts", "text"):
            if (held := value.get(key)) is not None:
                _add_texts(held, texts)
                return


def _completion(reply: Json) -> str | None:
    choices = _first_of(reply, "choices")
    if choices is not None:
        message = choices.get("message")
        source = message.get("content") if isinstance(message, dict) else choices.get("text")
        return _joined(texts_in(source), "")
    if isinstance(reply.get("output"), list):
        return _joined([text for item in reply["output"] for text in _part_texts(item, "content")], "")
    candidate = _first_of(reply, "candidates")
    if candidate is not None:
        content = candidate.get("content")
        return _joined(_part_texts(content, "parts"), "")
    if reply.get("type") == "message" or isinstance(reply.get("content"), list):
        return _joined(_part_texts(reply, "content"), "")
    return None


def _part_texts(holder: Any, key: str) -> list[str]:
    """The `text` of each part in a list of parts; parts of other kinds (tool calls, images) have none."""
    parts = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(parts, str):
        return [parts]
    return [part["text"] for part in objects_among(parts) if isinstance(part.get("text"), str)]


def _finish_reason(reply: Json) -> str | None:
    choice = _first_of(reply, "choices")
    if choice is not None:
        return _text(choice, "finish_reason")
    candidate = _first_of(reply, "candidates")
    if candidate is not None:
        return _text(candidate, "finishReason")
    return _text(reply, "stop_reason")


def _error(reply: Json) -> str | None:
    error = reply.get("error")
    if isinstance(error, dict):
        return _text(error, "message")
    if isinstance(error, str):
        return error or None
    is_inner_error = "message" in reply and any(key in reply for key in ("type", "code", "param"))
    return _text(reply, "message") if is_inner_error else None


def _first_of(reply: Json, key: str) -> Json | None:
    items = reply.get(key)
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else None


def _text(value: Json, key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) and found else None


def _joined(texts: list[str], separator: str = "\n") -> str | None:
    return separator.join(texts) if texts else None


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
