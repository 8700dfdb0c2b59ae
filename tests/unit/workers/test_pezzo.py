"""What was sent to the Pezzo API, and what of it the row says."""

import json
from typing import Any

import pytest

from ledger.request_log import RequestLog
from tests.support.builders import A_TIME
from tests.support.dialect_rows import ACCEPTED_AT, CHAT, PEZZO, pezzo, shown


def pezzo_response(**fields: Any) -> RequestLog:
    return pezzo(response={"timestamp": "2026-03-14T15:09:27.500Z", **fields})


BASE = {"environment": "Production", "client": "pezzo-ts", "clientVersion": "0.4.18"}
PEZZO_TABLE: list[tuple[RequestLog, dict[str, Any]]] = [
    (pezzo(), {"provider": "openai", "model_requested": "gpt-4o", "model_served": "gpt-4o-2024-08-06"}),
    (pezzo(), {"requested_at": A_TIME - 535, "received_at": A_TIME + 965, "duration_ms": 1500.0}),
    (pezzo(), {"status_code": 200, "is_error": False, "environment": "Production", "metadata": BASE}),
    (pezzo(metadata={**PEZZO["metadata"], "provider": "Azure"}), {"provider": "azure"}),
    (pezzo(metadata={}), {"provider": None, "environment": None, "metadata": {}}),
    (
        pezzo(properties={"client": "mine", "n": 1, "userId": "u"}, cacheEnabled=True),
        {"metadata": {**BASE, "client": "mine", "n": "1", "userId": "u", "cacheEnabled": "true"}, "user_id": "u"},
    ),
    (pezzo(properties={"environment": "mine"}), {"environment": "Production", "metadata": {**BASE, "environment": "mine"}}),  # noqa: E501
    (pezzo(cacheHit=True), {"cached": True}),
    (pezzo(cacheHit=None), {"cached": False}),
    (pezzo(request={"timestamp": "2026-03-14T15:09:26", "body": {"user": "u2", "stream": True}}),
     {"user_id": "u2", "streamed": True, "requested_at": A_TIME - 535}),
    (pezzo(request={"timestamp": "noon", "body": {}}), {"requested_at": ACCEPTED_AT}),
    (pezzo_response(body=CHAT, status=500), {"is_error": True, "status_code": 500}),
    (pezzo_response(body={"error": {"message": "no"}}, status=200), {"is_error": False, "error": "no"}),
    (pezzo_response(body={"error": {"message": "no"}}), {"is_error": True, "error": "no", "status_code": None}),
    (pezzo_response(body={"error": None}), {"is_error": True, "error": None}),
    (pezzo_response(), {"is_error": True, "error": None, "status_code": None}),
    (pezzo_response(body=None), {"is_error": True}),
    (pezzo_response(body=CHAT), {"is_error": False}),
    (pezzo_response(body={"message": "no", "type": "x"}, status=404), {"is_error": True, "error": "no"}),
    (pezzo_response(body={"controller": {}}, status=200), {"is_error": False, "input_tokens": None}),
    (pezzo_response(body={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}), {"input_tokens": 1, "output_tokens": 2}),  # noqa: E501
    (pezzo(response=None), {"is_error": True, "received_at": None, "duration_ms": None}),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), PEZZO_TABLE)
def test_a_pezzo_report_says(row: RequestLog, expected: dict[str, Any]) -> None:
    assert shown(row, expected) == expected


def test_unknown_keys_of_every_level_are_kept_under_their_place() -> None:
    parts: dict[str, Any] = {name: {**PEZZO[name], "colour": name} for name in ("metadata", "request", "response")}
    bodies = pezzo(**parts, extra1=[1]).bodies
    assert bodies is not None
    assert bodies.extra is not None
    assert json.loads(bodies.extra) == {
        "extra1": [1],
        "metadata": {"colour": "metadata"},
        "request": {"colour": "request"},
        "response": {"colour": "response"},
    }
