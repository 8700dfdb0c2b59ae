"""What a caller may rely on, however LLM Ledger was started: size, encodings, entries and media, retries, tenancy."""

import gzip
import json
import random
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import httpx
import pytest
import zstandard

from tests.support.access import Access, Row

MEBIBYTE = 1024 * 1024

A_PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

A_REPORT: Row = {
    "requestedAt": 1_750_000_000_000,
    "receivedAt": 1_750_000_000_250,
    "reqPayload": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Grüße 🙂"}]},
    "statusCode": 200,
}

PEZZO_REPORT: Row = {
    "metadata": {"provider": "OpenAI", "client": "test", "clientVersion": "1", "environment": "Production"},
    "request": {"timestamp": "2025-06-01T00:00:00.000Z", "body": {"model": "gpt-4o", "messages": []}},
    "response": {"timestamp": "2025-06-01T00:00:01.000Z", "body": {}, "status": 200},
}


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def text_of_bytes(count: int) -> str:
    """So many ASCII characters that no compression makes much smaller; the same ones every time."""
    return b64encode(random.Random(7).randbytes(count * 3 // 4 + 3)).decode()[:count]


def a_report_of_bytes(size: int) -> bytes:
    """A report whose body has exactly this size, nearly all of it in its request."""
    frame = len(as_json({"reqPayload": {"input": ""}}))
    return as_json({"reqPayload": {"input": text_of_bytes(size - frame)}})


def test_a_report_of_nearly_32_mib_is_read_back_whole(spare: Access) -> None:
    body = a_report_of_bytes(32 * MEBIBYTE - 100_000)

    record_id = spare.report(body)

    stored = spare.wait_for_entry(record_id)
    is_whole = stored["raw_request"].encode() == body[len(b'{"reqPayload": ') : -1]
    assert is_whole  # compared apart: nobody wants to see the difference of such texts
    assert len(spare.requests()) == 1


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/api/v1/report", {"message": "Request body is too large", "code": "PAYLOAD_TOO_LARGE"}),
        ("/api/reporting/v2/request", {"statusCode": 413, "message": "request entity too large"}),
        ("/api/logs/insert", None),
    ],
)
def test_a_report_over_the_cap_is_refused_in_the_manner_of_its_family(
    spare: Access, path: str, refusal: Row | None
) -> None:
    answer = spare.post(path, a_report_of_bytes(32 * MEBIBYTE + 1))
    assert answer.status_code == 413
    assert answer.json() == (refusal or {"error": answer.json()["error"]})
    assert spare.requests() == []


def test_the_cap_counts_what_a_compressed_body_becomes(spare: Access) -> None:
    line = random.Random(1).randbytes(MEBIBYTE // 2).hex()  # shrinks to about half
    packed = gzip.compress(as_json({"reqPayload": line * 33}), compresslevel=1)
    answer = spare.post("/api/v1/report", packed, {"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert spare.requests() == []


def test_a_body_that_is_packed_beyond_reason_is_refused(spare: Access) -> None:
    bomb = gzip.compress(as_json({"reqPayload": "x" * (33 * MEBIBYTE)}), compresslevel=1)
    answer = spare.post("/api/v1/report", bomb, {"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert spare.requests() == []


def test_compressed_reports_are_stored_as_what_they_hold(spare: Access) -> None:
    body = as_json(A_REPORT)
    encoded = {"gzip": gzip.compress(body), "zstd": zstandard.compress(body)}
    ids = [spare.report(content, {"Content-Encoding": name}) for name, content in encoded.items()]
    for record_id in ids:
        stored = spare.wait_for_entry(record_id)
        assert stored["raw_request"] == as_json(A_REPORT["reqPayload"]).decode()
        assert stored["prompt"] == "Grüße 🙂"
    refused = spare.post("/api/v1/report", body, {"Content-Encoding": "br"})
    assert refused.status_code == 415


@pytest.mark.parametrize("path", ["/report", "//report", "/api/v1/report/", "/api/v1//report"])
def test_a_report_may_come_by_any_spelling_of_its_path(spare: Access, path: str) -> None:
    answer = spare.post(path, A_REPORT)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    spare.wait_for_requests(1)


def test_a_retry_with_the_same_idempotency_key_is_the_same_record(spare: Access) -> None:
    ids = {spare.report(A_REPORT, {"Idempotency-Key": "order-17"}) for _ in range(3)}
    assert len(ids) == 1
    ids.add(spare.report(A_REPORT, {"Idempotency-Key": "order-18"}))
    keyed = {"Idempotency-Key": "order-19"}
    ids |= {spare.post("/api/reporting/v2/request", PEZZO_REPORT, keyed).json()["reportId"] for _ in range(2)}
    ids |= {spare.post("/api/logs/insert", {"model": "m"}, {"Idempotency-Key": "20"}).json()["id"] for _ in range(2)}
    assert len(ids) == 4

    spare.report(A_REPORT)
    rows = spare.wait_for_requests(5)

    assert len(rows) == 5
    assert ids < {row["id"] for row in rows}


def test_the_same_idempotency_key_names_other_records_in_other_projects(spare: Access, other_spare: Access) -> None:
    key = {"Idempotency-Key": "order-17"}
    mine, theirs = spare.report(A_REPORT, key), other_spare.report(A_REPORT, key)
    assert mine != theirs
    assert spare.wait_for_entry(mine)["project"] == spare.project
    assert other_spare.wait_for_entry(theirs)["project"] == other_spare.project
    assert other_spare.get(f"/api/v1/requests/{mine}").status_code == 404


def test_an_update_changes_the_named_fields_of_an_entry_and_prices_it_again(spare: Access) -> None:
    entry = {"model": "gpt-4o", "duration": 2.5, "metadata": {"a": 1, "b": "two"}, "description": "first"}
    record_id = spare.post("/api/logs/insert", entry).json()["id"]
    before = spare.wait_for_entry(record_id)
    assert (before["cost"], before["cost_reason"]) == (None, "no_usage")
    usage = {"usage": {"prompt_tokens": 11, "completion_tokens": 7}}

    changes = {"response_data": usage, "metadata": {"c": True}, "description": None}
    answer = spare.post("/api/logs/update", {"id": record_id, "update_data": changes})

    assert (answer.status_code, answer.json()) == (200, {"id": record_id, "success": True})
    after = spare.wait_for_entry(record_id, lambda row: row["input_tokens"] is not None)
    assert (after["cost"], after["cost_status"]) == ("0.0000975", "computed")  # 11 × 2.50 + 7 × 10.00 per million
    assert after["metadata"] == {"c": "true"}
    assert (after["description"], after["duration_ms"], after["created_at"]) == ("first", 2500, before["created_at"])
    (row,) = spare.requests()
    assert (row["prompt_tokens"], row["response_body"]) == (11, usage)


def test_media_are_served_to_their_project_alone(spare: Access, other_spare: Access) -> None:
    media = {"request": [{"type": "image", "title": "dot", "data": b64encode(A_PNG).decode()}]}
    record_id = spare.post("/api/logs/insert", {"model": "gpt-image-1", "media": media}).json()["id"]
    (item,) = spare.wait_for_entry(record_id)["media"]
    assert (item["kind"], item["side"], item["title"]) == ("base64", "request", "dot")
    assert item["href"] == f"/api/v1/media/{sha256(A_PNG).hexdigest()}"

    served = spare.get(item["href"])

    assert (served.status_code, served.content) == (200, A_PNG)
    assert served.headers["content-type"] == "image/png"
    assert served.headers["x-content-type-options"] == "nosniff"
    assert other_spare.get(item["href"]).status_code == 404
    assert httpx.get(spare.url + item["href"]).status_code == 401


def test_projects_see_and_change_nothing_of_each_other(spare: Access, other_spare: Access) -> None:
    mine = spare.post("/api/logs/insert", {"model": "gpt-4o", "initiator": "ann"}).json()["id"]
    theirs = other_spare.report(A_REPORT)
    spare.wait_for_entry(mine)
    other_spare.wait_for_entry(theirs)

    assert [row["id"] for row in spare.requests()] == [mine]
    assert [row["id"] for row in other_spare.requests()] == [theirs]
    assert other_spare.get("/api/v1/requests", user_id="ann").json() == {"requests": [], "totalCount": 0}
    foreign = other_spare.get(f"/api/v1/requests/{mine}")
    assert (foreign.status_code, foreign.json()) == (404, {"error": "Not found"})
    update = {"id": mine, "update_data": {"initiator": "bob"}}
    refused = other_spare.post("/api/logs/update", update)
    assert (refused.status_code, refused.json()) == (404, {"error": "Log entry not found"})
    lent = spare.post("/api/reporting/v2/request", PEZZO_REPORT, {"x-pezzo-project-id": other_spare.project})
    assert (lent.status_code, lent.json()["message"]) == (401, "Invalid Pezzo Project ID")
    unknown = spare.post("/api/reporting/v2/request", PEZZO_REPORT, {"x-pezzo-project-id": "nobody"})
    assert (unknown.status_code, unknown.json()["message"]) == (401, "Invalid Pezzo Project ID")
    assert spare.get(f"/api/v1/requests/{mine}").json()["user_id"] == "ann"


def test_a_browser_may_call_every_family_from_anywhere(ledger: Access) -> None:
    asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = "authorization, content-type, x-api-key"
    for path in ("/api/v1/report", "/api/reporting/v2/request", "/api/logs/insert", "/api/v1/requests"):
        answer = httpx.options(ledger.url + path, headers=asking)
        assert answer.status_code == 204, path
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_the_documentation_of_the_api_names_what_is_served(ledger: Access) -> None:
    document = httpx.get(f"{ledger.url}/schema/openapi.json").json()
    assert {"/api/v1/report", "/api/reporting/v2/request", "/api/logs/insert"} <= set(document["paths"])
