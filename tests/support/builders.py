"""Valid values with defaults: a test says only what it is about."""

from typing import Any

from msgspec.structs import replace

from ledger.ids import ProjectId, RecordId, from_int
from ledger.instants import iso_ms
from ledger.request_log import Bodies, CostStatus, RequestLog, preview

ID_SECRET = b"a project's id secret, 32 bytes."
"""Stands for the secret of every project in tests that make ids."""

A_TIME = iso_ms("2026-03-14T15:09:26.535Z") or 0


def an_id(created_at: int, number: int) -> RecordId:
    """The UUIDv7 of this time whose other bits are this number."""
    return from_int(created_at << 80 | 7 << 76 | 0b10 << 62 | number)


REQUEST_LOG = RequestLog(
    project=ProjectId("shop"),
    created_at=A_TIME,
    id=an_id(A_TIME, 1),
    version=1,
    source="openpipe",
    ingested_at=A_TIME + 5,
    updated_at=A_TIME + 5,
    requested_at=A_TIME,
    received_at=A_TIME + 1200,
    duration_ms=1200.0,
    provider="openai",
    model_requested="gpt-4o",
    model_served="gpt-4o-2024-08-06",
    status_code=200,
    provider_response_id="chatcmpl-1",
    user_id="user:1",
    metadata=(("env", "prod"),),
    input_tokens=12,
    output_tokens=3,
    total_tokens=15,
    cost_computed=60_000_000,
    cost=60_000_000,
    cost_status=CostStatus.COMPUTED,
    price_version="2026-03",
    bodies=Bodies(
        prompt="Say hello",
        completion="Hello!",
        raw_request='{"model": "gpt-4o"}',
        raw_response='{"id": "chatcmpl-1"}',
    ),
)


def a_request_log(**changes: Any) -> RequestLog:
    """A stored call. `created_at` alone also moves the id; previews follow the bodies unless they are given."""
    if "created_at" in changes and "id" not in changes:
        changes["id"] = an_id(changes["created_at"], 1)
    log = replace(REQUEST_LOG, **changes)
    bodies = log.bodies or Bodies()
    return replace(
        log,
        prompt_preview=changes.get("prompt_preview", preview(bodies.prompt)),
        completion_preview=changes.get("completion_preview", preview(bodies.completion)),
    )
