"""Any items at all: lines and array get the same verdicts, and each item gets exactly one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.ids import ProjectId, plain_id
from tests.unit.ingest_api.service import NOW_MS, PROJECT, IngestService, a_pezzo_report, make_service

STATUSES = {200, 207, 400, 413, 422}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.sampled_from(["model", "id", "tags", "request", "requestedAt", "update_data", "metadata"]) | st.text(
    max_size=3
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))
KINDS = st.sampled_from(["openpipe.report", "openpipe.report-anthropic", "pezzo.request", "log.insert", "log.update"])
KEYS = st.none() | st.sampled_from(["a", "b", "", "ä"])


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> IngestService:
    """One service for all examples: what it keeps between them is its bus."""
    return make_service(Path(tmp_path_factory.mktemp("service")), thread_above_bytes=500)


def items(record_id: str) -> st.SearchStrategy[Any]:
    """Good items, items that are nearly good, and any values."""
    good = st.sampled_from(
        [
            {"kind": "openpipe.report", "body": {"reqPayload": "\ud83d"}},
            {"kind": "pezzo.request", "body": a_pezzo_report()},
            {"kind": "log.insert", "body": {"model": "m"}},
            {"kind": "log.update", "body": {"id": record_id, "update_data": {"cost": 1}}},
        ]
    )
    nearly = st.fixed_dictionaries(
        {"kind": KINDS | st.text(max_size=3), "body": st.dictionaries(NAMES, VALUES, max_size=3) | VALUES},
        optional={"idempotency_key": KEYS | VALUES, "more": VALUES},
    )
    return good | nearly | VALUES


def answer_to(service: IngestService, content: bytes, content_type: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        headers = service.openpipe | {"content-type": content_type, "idempotency-key": "k"}
        async with service.client() as client:
            return await client.post("/api/v1/reports", content=content, headers=headers)

    return asyncio.run(ask())


def without_places(answer: httpx.Response) -> Any:
    """The answer without what two records cannot have in common."""
    results = answer.json()["results"]
    return answer.status_code, [{name: value for name, value in one.items() if name != "position"} for one in results]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_lines_and_array_get_the_same_verdicts(shared_service: IngestService, data: st.DataObject) -> None:
    record_id = plain_id(NOW_MS, shared_service.keys.id_secret(ProjectId(PROJECT)))
    texts = [json.dumps(item) for item in data.draw(st.lists(items(record_id), max_size=6))]
    records = shared_service.bus.records
    before = len(records)

    as_lines = answer_to(shared_service, "\n".join(texts).encode(), "application/x-ndjson")
    first = records[before:]
    as_array = answer_to(shared_service, f"[{','.join(texts)}]".encode(), "application/json")
    second = records[before + len(first) :]

    assert without_places(as_lines) == without_places(as_array)
    assert [record.body for record in first] == [record.body for record in second]
    results = as_array.json()["results"]
    assert [result["index"] for result in results] == list(range(len(texts)))
    assert all(("id" in result) != ("error" in result) for result in results)
    assert sum("id" in result for result in results) == len(second)


def spoiled(text: bytes) -> st.SearchStrategy[bytes]:
    """The text with some of its bytes replaced, or cut off."""
    at = st.integers(0, len(text))
    return st.builds(lambda start, end, put_in: text[:start] + put_in + text[end:], at, at, st.binary(max_size=4))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), content_type=st.sampled_from(["application/json", "application/x-ndjson"]))
def test_any_bytes_get_a_plain_answer_and_what_is_accepted_is_on_the_bus(
    shared_service: IngestService, data: st.DataObject, content_type: str
) -> None:
    texts = [json.dumps(item).encode() for item in data.draw(st.lists(items("x"), max_size=3))]
    whole = data.draw(st.sampled_from([b"\n".join(texts), b"[" + b",".join(texts) + b"]"]))
    content = data.draw(spoiled(whole) | st.binary())
    records = shared_service.bus.records
    before = len(records)

    answer = answer_to(shared_service, content, content_type)

    assert answer.status_code in STATUSES
    accepted = [result for result in answer.json().get("results", []) if "id" in result]
    assert len(accepted) == len(records) - before
    assert all(record.body in content for record in records[before:])
