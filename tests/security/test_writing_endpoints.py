"""Every endpoint that writes takes an Idempotency-Key and tells the position: looked up in the API document.

An endpoint that is in the document and not in the tables here fails the test, so that a new one cannot forget it.
"""

from pathlib import Path
from typing import Any

import pytest

from ledger.report import decode
from tests.security.endpoints import BATCHES, ENDPOINTS, KEEPING_NOTHING, WRITING, Sent, paths
from tests.unit.ingest_api.service import IngestService, as_json, make_service

WRITING_PATHS = [(path, body) for name, body in WRITING.items() for path in paths(name)]
BATCH_PATHS = [(path, body) for name, body in BATCHES.items() for path in paths(name)]
TAKING_KEYS = [*WRITING_PATHS, *BATCH_PATHS]


@pytest.fixture
def operations(service: IngestService) -> dict[str, dict[str, Any]]:
    """What the document says of each path's POST."""
    document: dict[str, Any] = service.app.openapi_schema.to_schema()
    assert all(set(methods) == {"post"} for methods in document["paths"].values())
    return {path: methods["post"] for path, methods in document["paths"].items()}


@pytest.fixture
def service(tmp_path: Path) -> IngestService:
    """A fresh service over a bus in memory."""
    return make_service(tmp_path)


def test_every_documented_endpoint_is_known_here(operations: dict[str, Any]) -> None:
    assert set(operations) == {path for name in ENDPOINTS for path in paths(name)}


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_the_document_says_which_endpoints_take_a_key_and_tell_a_position(
    name: str, operations: dict[str, Any]
) -> None:
    for path in paths(name):
        headers = {given["name"] for given in operations[path].get("parameters", []) if given["in"] == "header"}
        told = set(operations[path]["responses"]["200"].get("headers", {}))
        assert ("Idempotency-Key" in headers) is (name in WRITING | BATCHES), path
        assert ("LLMLedger-Position" in told) is (name in WRITING), path


def everything(service: IngestService) -> dict[str, str]:
    return service.openpipe | service.pezzo | service.log_entries


async def stored_id(service: IngestService) -> str:
    """The id of a record of the project."""
    async with service.client() as client:
        answer = await client.post("/logs/insert", content=as_json({"model": "m"}), headers=everything(service))
        return str(answer.json()["id"])


@pytest.mark.parametrize(("path", "body"), WRITING_PATHS, ids=[path for path, _ in WRITING_PATHS])
async def test_the_same_key_is_the_same_event_and_every_acceptance_tells_its_position(
    path: str, body: Sent, service: IngestService
) -> None:
    content = as_json(body(await stored_id(service)))
    seen = []
    async with service.client() as client:
        for key in ("one", "one", "two", None, None):
            more = {} if key is None else {"idempotency-key": key}
            answer = await client.post(path, content=content, headers=everything(service) | more)
            assert answer.status_code == 200, answer.text
            envelope = decode(service.bus.records[-1].envelope)
            assert envelope.idempotency_key == key
            assert answer.headers["LLMLedger-Position"] == f"1-0-{len(service.bus.records) - 1}"
            seen.append(envelope.event_id)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4


@pytest.mark.parametrize(("path", "body"), TAKING_KEYS, ids=[path for path, _ in TAKING_KEYS])
@pytest.mark.parametrize("key", [b"", b" ", b"x" * 256, b"\xc3\xa4", b"a\x07b"])
async def test_a_key_that_is_none_is_refused_and_nothing_is_accepted(
    path: str, body: Sent, key: bytes, service: IngestService
) -> None:
    content, before = as_json(body(await stored_id(service))), len(service.bus.records)
    headers = [(name.encode(), value.encode()) for name, value in everything(service).items()]
    async with service.client() as client:
        answer = await client.post(path, content=content, headers=[*headers, (b"idempotency-key", key)])
    assert answer.status_code == 400
    assert len(service.bus.records) == before


@pytest.mark.parametrize("name", sorted(KEEPING_NOTHING))
async def test_what_keeps_nothing_puts_nothing_on_the_bus_whatever_key_it_has(
    name: str, service: IngestService
) -> None:
    async with service.client() as client:
        for path in paths(name):
            headers = everything(service) | {"idempotency-key": "one"}
            answer = await client.post(path, content=as_json(KEEPING_NOTHING[name]("")), headers=headers)
            assert answer.status_code == 200, answer.text
            assert "LLMLedger-Position" not in answer.headers
    assert service.bus.records == []
