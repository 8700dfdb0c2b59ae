"""Reports of a given size, as they come over the wire and as they stand on the bus."""

import json

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
    half = max(1, (size - len(_report("", number))) // 2)
    return _report((_WORDS * (half // len(_WORDS) + 1))[:half], number)


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


def _report(text: str, number: int) -> bytes:
    reply: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    report = {
        "requestedAt": FIRST_MS + number,
        "receivedAt": FIRST_MS + number + 1234,
        "reqPayload": {
            "model": "gpt-4o-mini",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
            "temperature": 0.2,
            "user": f"user:{number % 1000}",
        },
        "respPayload": {
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
        },
        "statusCode": 200,
        "tags": {"prompt_id": "bench", "environment": "production", "session_id": f"sess_{number // 4}"},
    }
    return json.dumps(report, separators=(",", ":")).encode()
