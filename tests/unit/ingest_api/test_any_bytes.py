"""Any bytes at all, on any endpoint, with a good key: a plain answer, and on the bus exactly what was accepted."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_api.routes import BATCH, PATHS
from ledger import ids
from ledger.ids import ProjectId
from tests.unit.ingest_api.service import NOW_MS, PROJECT, IngestService, a_pezzo_report, make_service

SINGLE = PATHS - set(BATCH)
STORING = {path for path in SINGLE if "cache" not in path}
KEYS = ["requestedAt", "statusCode", "errorMessage", "tags", "reqPayload", "metadata", "request", "response", "body"]
MORE_KEYS = ["timestamp", "usage", "status", "cacheHit", "properties", "model", "duration", "cost", "media", "id"]
NAMES = st.sampled_from([*KEYS, *MORE_KEYS, "update_data", "type", "data"]) | st.text(max_size=3)
NUMBERS = st.integers() | st.floats() | st.just(10**400)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text() | st.sampled_from(["image", "2026-01-01T00:00:00Z", "1e999"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6))
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)


FEW = st.dictionaries(NAMES, VALUES, max_size=2)


def nearly_good(path: str, record_id: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies that the path accepts, but for a few changes."""
    if path.endswith("update"):
        ids = st.just(record_id) | VALUES
        return st.fixed_dictionaries({"id": ids, "update_data": FEW})
    if path.endswith("insert"):
        return FEW.map(lambda changes: {"model": "m"} | changes)
    if "reporting" in path:
        good = a_pezzo_report()
        parts = st.tuples(FEW, FEW).map(lambda both: (good["request"] | both[0], good["response"] | both[1]))
        of_parts = parts.map(lambda both: a_pezzo_report(request=both[0], response=both[1]))
        return of_parts | FEW.map(lambda changes: a_pezzo_report(**changes))
    return FEW.map(lambda changes: {"request": {}, "requestedAt": 1} | changes)


def spoiled(text: bytes) -> st.SearchStrategy[bytes]:
    """The text, or the text with one byte put in somewhere."""
    at = st.integers(0, len(text))
    put_in = st.builds(lambda place, byte: text[:place] + bytes([byte]) + text[place:], at, st.integers(0, 255))
    return st.just(text) | put_in


def bodies(path: str, record_id: str) -> st.SearchStrategy[bytes]:
    """Bytes, JSON, spoiled JSON; half of the JSON is nearly what the path accepts."""
    values: st.SearchStrategy[Any] = nearly_good(path, record_id) | (VALUES | OBJECTS)
    texts = values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    return texts | texts.flatmap(spoiled) | st.binary()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> IngestService:
    """One service for all examples: what it keeps between them is its bus."""
    return make_service(Path(tmp_path_factory.mktemp("service")), thread_above_bytes=2000)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(sorted(SINGLE)), data=st.data())
def test_any_bytes_get_a_plain_answer_and_what_is_accepted_is_on_the_bus(
    shared_service: IngestService, path: str, data: st.DataObject
) -> None:
    record_id = ids.plain_id(NOW_MS, shared_service.keys.id_secret(ProjectId(PROJECT)))
    body = data.draw(bodies(path, record_id))

    async def status() -> int:
        headers = shared_service.openpipe | shared_service.pezzo | shared_service.log_entries
        async with shared_service.client() as client:
            return (await client.post(path, content=body, headers=headers)).status_code

    records = shared_service.bus.records
    before = len(records)
    code = asyncio.run(status())
    assert code in {200, 400, 404, 413}
    accepted = [record.body for record in records[before:]]
    assert accepted == ([body] if code == 200 and path in STORING else [])
