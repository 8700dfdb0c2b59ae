"""A batch, however LLM Ledger was started: its items become the rows that the same bodies become when sent alone."""

import gzip
import json
from base64 import b64encode
from random import Random
from typing import Any

import pytest

from tests.support.access import Access, Row

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
REPLY = {"model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "Grüße 🙂"}}], "usage": USAGE}
A_REPORT: Row = {
    "requestedAt": 1_750_000_000_000,
    "receivedAt": 1_750_000_000_250,
    "reqPayload": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
    "respPayload": REPLY,
    "statusCode": 200,
    "tags": {"a": 1},
    "zzz": [1.50, {}],
}
BODIES: dict[str, tuple[str, Row]] = {
    "openpipe.report": ("/report", A_REPORT),
    "openpipe.report-anthropic": ("/report-anthropic", A_REPORT | {"respPayload": {"usage": {"input_tokens": 3}}}),
    "pezzo.request": (
        "/reporting/v2/request",
        {
            "metadata": {"provider": "OpenAI", "client": "c", "clientVersion": "1", "environment": "Production"},
            "request": {"timestamp": "2025-06-01T00:00:00.000Z", "body": {"model": "gpt-4o", "messages": []}},
            "response": {"timestamp": "2025-06-01T00:00:01.000Z", "body": REPLY, "status": 200},
        },
    ),
    "log.insert": ("/logs/insert", {"model": "gpt-4o", "duration": 2.5, "response_data": REPLY, "metadata": {"b": 2}}),
}
STAMPS = {"id", "created_at", "ingested_at", "updated_at", "requested_at"}


def spaced(body: Row) -> bytes:
    """JSON as no encoder of ours writes it: it has to be kept."""
    return json.dumps(body, separators=(" ,", " : ")).encode()


def item(kind: str, body: bytes, **more: str) -> bytes:
    """The item with this body as it is."""
    return b'{"kind":"%s",%s"body":%s}' % (kind.encode(), json.dumps(more)[1:-1].encode() + b"," * bool(more), body)


def accepted(access: Access, content: bytes, **headers: str) -> list[dict[str, Any]]:
    answer = access.post("/api/v1/reports", content, headers)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def id_of_one(access: Access, path: str, body: bytes) -> str:
    answer = access.post(path, body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return str(answer.headers.get("LLMLedger-Log-Id") or told.get("reportId") or told.get("id"))


def said(row: Row, stamps: set[str]) -> Row:
    """The row without what no two events have in common."""
    return {name: value for name, value in row.items() if name not in stamps}


def test_an_item_of_each_kind_becomes_the_row_that_it_becomes_alone(spare: Access) -> None:
    bodies = {kind: spaced(body) for kind, (_, body) in BODIES.items()}
    alone = {kind: id_of_one(spare, BODIES[kind][0], body) for kind, body in bodies.items()}
    results = accepted(spare, b"\n".join(item(kind, body) for kind, body in bodies.items()))
    for kind, result in zip(bodies, results, strict=True):
        one, other = spare.wait_for_entry(alone[kind]), spare.wait_for_entry(result["id"])
        times = STAMPS if kind == "log.insert" else STAMPS - {"created_at", "requested_at"}
        assert said(one, times) == said(other, times), kind
        assert other["raw_response"].encode() in bodies[kind]
        assert other["input_tokens"]


def test_an_update_in_a_batch_does_what_it_does_alone(spare: Access) -> None:
    path, entry = BODIES["log.insert"]
    alone, batched = [id_of_one(spare, path, spaced(entry)) for _ in range(2)]
    first, last = [
        {"description": "first", "cost": 3},
        {"description": "last", "metadata": {"c": True}, "response_data": {"usage": {"prompt_tokens": 1}}},
    ]
    for changes in (first, last):
        assert spare.post("/logs/update", spaced({"id": alone, "update_data": changes})).status_code == 200
    updates = [spaced({"id": batched, "update_data": changes}) for changes in (first, last)]
    results = accepted(spare, b"[" + b",".join(item("log.update", update) for update in updates) + b"]")
    assert [result["id"] for result in results] == [batched, batched]
    one, other = [spare.wait_for_entry(each, lambda row: row["description"] == "last") for each in (alone, batched)]
    assert said(one, STAMPS) == said(other, STAMPS)
    assert (other["cost_provided"], other["metadata"], other["input_tokens"]) == ("3", {"c": "true"}, 1)


def test_a_batch_that_is_sent_twice_is_stored_once_and_a_bad_item_stops_nothing(spare: Access) -> None:
    batch = [item("openpipe.report", spaced(A_REPORT | {"n": number})) for number in range(300)]
    content = gzip.compress(b"\n".join([*batch, b"rubbish", item("log.insert", b'{"model":"m"}', idempotency_key="e")]))
    headers = {"Idempotency-Key": "all", "Content-Encoding": "gzip"}
    answers = [spare.post("/api/v1/reports", content, headers) for _ in range(2)]
    first, second = [[result.get("id") for result in answer.json()["results"]] for answer in answers]
    assert [answer.status_code for answer in answers] == [207, 207]
    assert first == second
    assert first[300] is None
    last = answers[1].json()["results"][301]["position"]
    assert spare.get("/api/v1/status", position=last, wait=30).json()["status"] == "visible"
    rows = spare.wait_for_requests(301)
    assert {row["id"] for row in rows} == {*first} - {None}
    assert len(rows) == 301


@pytest.mark.parametrize("framing", [b"%s\n%s", b"[%s,%s]"])
def test_half_a_character_is_kept_as_it_was_sent(spare: Access, framing: bytes) -> None:
    body = b'{"reqPayload": {"model": "gpt-4o", "input": "\\ud83d"}}'
    _, last = accepted(spare, framing % (item("openpipe.report", b"{}"), item("openpipe.report", body)))
    alone = spare.report(body)
    one, other = spare.wait_for_entry(alone), spare.wait_for_entry(last["id"])
    assert other["raw_request"] == one["raw_request"]


def test_a_batch_may_be_larger_than_one_report_may_be(spare: Access) -> None:
    text = b64encode(Random(7).randbytes(3 * 1024 * 1024)).decode()
    bodies = [b'{"reqPayload":{"input":"%d %s"}}' % (number, text.encode()) for number in range(10)]
    results = accepted(spare, b"\n".join(item("openpipe.report", body) for body in bodies))
    assert len({result["id"] for result in results}) == 10
    last = spare.wait_for_entry(results[-1]["id"])
    is_whole = last["raw_request"].encode() in bodies[-1]
    assert is_whole  # compared apart: nobody wants to see the difference of such texts
