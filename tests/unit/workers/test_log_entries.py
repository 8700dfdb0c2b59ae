"""What was sent to the API of log entries, and what of it the row says."""

import json
from typing import Any

import pytest

from ledger.report import Kind
from tests.support.dialect_rows import ACCEPTED_AT, CHAT, entry, shown
from tests.support.events import a_report

ENTRY_TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"requested_at": ACCEPTED_AT, "received_at": None, "duration_ms": None, "status_code": None, "cached": False}),
    ({"duration": 1.5}, {"duration_ms": 1500.0}),
    ({"duration": 0}, {"duration_ms": 0.0}),
    ({"model": "claude-sonnet-4-5"}, {"provider": "anthropic", "model_requested": "claude-sonnet-4-5"}),
    ({"model": "unheard-of"}, {"provider": None}),
    ({"initiator": "user:12345"}, {"user_id": "user:12345"}),
    ({"description": ""}, {"description": ""}),
    ({"description": "d"}, {"description": "d"}),
    ({"metadata": {"a": 1, "b": {"c": None}, "session_id": "s"}},
     {"metadata": {"a": "1", "b": '{"c":null}', "session_id": "s"}, "session_id": "s"}),
    ({"cost": 0.000001}, {"cost_provided": 1_000_000}),
    ({"cost": 0}, {"cost_provided": 0}),
    ({"cost": None}, {"cost_provided": None}),
    ({"request_data": {"stream": True, "model": "other"}}, {"streamed": True, "model_requested": "gpt-4o"}),
    ({"response_data": CHAT}, {"model_served": "gpt-4o-2024-08-06", "provider_response_id": "chatcmpl-1"}),
    ({"response_data": {"error": {"message": "no"}}}, {"is_error": True, "error": "no"}),
    ({"response_data": {"error": None}}, {"is_error": False}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), ENTRY_TABLE, ids=lambda value: json.dumps(value)[:60])
def test_a_log_entry_says(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shown(entry(**body), expected) == expected


def test_the_media_of_an_entry_are_blobs_that_the_row_names() -> None:
    media = {"request": [{"type": "image", "data": "AAAA"}], "response": [{"type": "image", "data": "https://x/y"}]}
    report = a_report({"model": "m", "media": media}, kind=Kind.LOG_INSERT)
    row = report.row
    assert row.bodies is not None
    assert row.bodies.media is not None
    assert [item["kind"] for item in json.loads(row.bodies.media)] == ["base64", "url"]
    assert row.media_hashes == tuple(blob.sha256 for blob in report.blobs)
    assert [blob.data for blob in report.blobs] == [bytes(3)]
