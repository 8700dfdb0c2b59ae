"""Reports of a given size, in every dialect: as they come over the wire and as they stand on the bus."""

import json
from collections.abc import Callable
from typing import Any

from ledger.bus import Record
from ledger.ids import EventId, ProjectId, plain_id
from ledger.prices.book import current_version
from ledger.report import VERSION, Envelope, Kind, bus_key, encode

PROJECT = ProjectId("bench")
FIRST_MS = 1_790_000_000_000
_SECRET = b"the bench's own id secret, 32 b."
_WORDS = "The quick brown fox jumps over the lazy dog near the old river bank and counts to a thousand. "


def report_body(size: int, number: int = 0) -> bytes:
    """An OpenPipe report of about this many bytes: half of them the prompt, half the reply."""
    return _of_size(lambda text: _report(text, number), size)


def anthropic_body(size: int) -> bytes:
    """The same of a call to Anthropic."""
    return _of_size(_anthropic, size)


def pezzo_body(size: int) -> bytes:
    """The same as a Pezzo report."""
    return _of_size(_pezzo, size)


def entry_body(size: int) -> bytes:
    """The same as a log entry."""
    return _of_size(_entry, size)


def batch_body(size: int, items: int) -> bytes:
    """So many different OpenPipe reports of this size, a line each."""
    lines = (b'{"kind":"openpipe.report","body":' + report_body(size, number) + b"}" for number in range(items))
    return b"\n".join(lines) + b"\n"


def record(number: int, size: int) -> Record:
    """The number-th accepted report."""
    created = FIRST_MS + number
    id_ = plain_id(created, _SECRET)
    envelope = Envelope(
        version=VERSION,
        record_id=id_,
        event_id=EventId(id_),
        kind=Kind.OPENPIPE_REPORT,
        project=PROJECT,
        accepted_at=created,
        created_at=created,
        price_version=current_version(),
    )
    return Record(bus_key(PROJECT, id_), encode(envelope), report_body(size, number))


def _of_size(made: Callable[[str], dict[str, Any]], size: int) -> bytes:
    half = max(1, (size - len(_json(made("")))) // 2)
    return _json(made((_WORDS * (half // len(_WORDS) + 1))[:half]))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _report(text: str, number: int) -> dict[str, Any]:
    return {
        "requestedAt": FIRST_MS + number,
        "receivedAt": FIRST_MS + number + 1234,
        "reqPayload": {**_asked(text), "temperature": 0.2, "user": f"user:{number % 1000}"},
        "respPayload": _answered(text, number),
        "statusCode": 200,
        "tags": {"prompt_id": "bench", "environment": "production", "session_id": f"sess_{number // 4}"},
    }


def _anthropic(text: str) -> dict[str, Any]:
    model = "claude-3-opus-20240229"
    reply = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 400, "output_tokens": 380},
    }
    return {
        "requestedAt": FIRST_MS,
        "receivedAt": FIRST_MS + 1234,
        "reqPayload": {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}]},
        "respPayload": reply,
        "statusCode": 200,
        "metadata": {"prompt_id": "bench"},
    }


def _pezzo(text: str) -> dict[str, Any]:
    client = {"client": "pezzo-ts", "clientVersion": "0.4.18"}
    return {
        "metadata": {"environment": "Production", "provider": "OpenAI", "type": "ChatCompletion", **client},
        "properties": {"prompt_id": "bench"},
        "cacheEnabled": False,
        "cacheHit": None,
        "request": {"timestamp": "2026-09-21T14:13:20.000Z", "body": _asked(text)},
        "response": {"timestamp": "2026-09-21T14:13:21.234Z", "body": _answered(text, 0), "status": 200},
    }


def _entry(text: str) -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "request_data": _asked(text),
        "response_data": _answered(text, 0),
        "duration": 1.234,
        "initiator": "user:7",
        "metadata": {"prompt_id": "bench"},
    }


def _asked(text: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return {"model": "gpt-4o-mini", "messages": messages}


def _answered(text: str, number: int) -> dict[str, Any]:
    reply: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{number:012d}",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": reply, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 400,
            "completion_tokens": 380,
            "total_tokens": 780,
            "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
    }
