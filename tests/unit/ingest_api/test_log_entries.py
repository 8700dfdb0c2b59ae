"""Log entries: insert, update, media, and ids that only their own project can name."""

from typing import Any

import httpx
import pytest

from ledger import ids
from ledger.ids import ProjectId
from ledger.report import Kind
from tests.unit.ingest_api.service import NOW_MS, PROJECT, IngestService, as_json


async def insert(client: httpx.AsyncClient, service: IngestService, body: Any) -> httpx.Response:
    return await client.post("/api/logs/insert", content=as_json(body), headers=service.log_entries)


async def update(client: httpx.AsyncClient, service: IngestService, body: Any) -> httpx.Response:
    return await client.post("/api/logs/update", content=as_json(body), headers=service.log_entries)


def images(*data: Any) -> dict[str, Any]:
    return {"model": "m", "media": {"request": [{"type": "image", "data": item} for item in data]}}


@pytest.mark.parametrize("path", ["/api/logs/insert", "/logs/insert"])
async def test_an_accepted_entry_is_on_the_bus_as_it_came(
    path: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    body = b'{"model":"gpt-4o", "duration":2.30,"cost":0.001,"metadata":{"a":[1]},"unknown":1}'
    answer = await client.post(path, content=body, headers=service.log_entries)
    envelope = service.envelope()
    assert answer.content == as_json({"id": envelope.record_id, "success": True})
    assert answer.headers["LLMLedger-Position"] == "1-0-0"
    assert "LLMLedger-Log-Id" not in answer.headers
    assert (envelope.kind, envelope.accepted_at, envelope.created_at) == (Kind.LOG_INSERT, NOW_MS, NOW_MS)
    assert ids.created_at_ms_of(envelope.record_id) == NOW_MS
    assert [record.body for record in service.bus.records] == [body]


@pytest.mark.parametrize("path", ["/api/logs/update", "/logs/update"])
async def test_an_update_is_an_event_of_its_own_under_the_key_of_its_record(
    path: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    record_id = (await insert(client, service, {"model": "m"})).json()["id"]
    body = as_json({"id": record_id, "update_data": {"duration": 1}})
    answer = await client.post(path, content=body, headers=service.log_entries)
    envelope = service.envelope()
    assert answer.content == as_json({"id": record_id, "success": True})
    assert answer.headers["LLMLedger-Position"] == "1-0-1"
    assert (envelope.kind, envelope.record_id, envelope.created_at) == (Kind.LOG_UPDATE, record_id, NOW_MS)
    assert envelope.event_id != record_id
    assert [record.key for record in service.bus.records] == [f"{PROJECT}/{record_id}".encode()] * 2
    assert service.bus.records[1].body == body


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "duration": None, "cost": None, "media": None, "request_data": None, "metadata": None},
        {"model": "m", "cost": 9_200_000, "duration": 0},
        {"model": "m", "cost": 1e-300, "description": "", "initiator": ""},
        {"model": "m", "media": {"request": None, "other": 5}},
        {"model": "m", "request_data": {}, "response_data": {"usage": {}}},
        images("base64-encoded-image-data", "...", "", "data:image/png;base64,iVBORw0KGgo=", "https://e.org/i.jpg"),
    ],
)
async def test_a_lenient_entry_is_accepted(body: Any, service: IngestService, client: httpx.AsyncClient) -> None:
    assert (await insert(client, service, body)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": ""}, "model must be a non-empty string"),
        ({"model": None}, "model must be a non-empty string"),
        ({"model": 4}, "model must be a non-empty string"),
        ({"duration": "2"}, "duration must be a number"),
        ({"duration": True}, "duration must be a number"),
        ({"duration": -1}, "duration must be at least 0 and at most 1e12 seconds"),
        ({"duration": 1e308}, "duration must be at least 0 and at most 1e12 seconds"),
        ({"initiator": 5}, "initiator must be a string"),
        ({"description": {}}, "description must be a string"),
        ({"request_data": "x"}, "request_data must be an object"),
        ({"response_data": []}, "response_data must be an object"),
        ({"metadata": 1}, "metadata must be an object"),
        ({"cost": "0.1"}, "cost must be a number"),
        ({"cost": -0.001}, "cost must be at least 0 and at most 9200000 USD"),
        ({"cost": 9_200_000.5}, "cost must be at least 0 and at most 9200000 USD"),
        ({"media": []}, "media must be an object"),
        ({"duration": "2", "cost": []}, "duration must be a number; cost must be a number"),
    ],
)
async def test_a_wrong_field_is_named(
    changes: dict[str, Any], text: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await insert(client, service, {"model": "m"} | changes)
    assert (answer.status_code, answer.json()) == (400, {"error": text})
    assert service.bus.records == []


@pytest.mark.parametrize(
    "media",
    [
        {"request": {}},
        {"request": [5]},
        {"request": [{"type": "image"}]},
        {"response": [{"type": "video", "data": "x"}]},
        {"response": [{"data": "x"}]},
        {"response": [{"type": "image", "data": 5}]},
        {"request": [{"type": "image", "data": None}]},
        {"request": [{"type": "image", "data": "x"}] * 1001},
    ],
)
async def test_media_that_are_none_are_refused(media: Any, service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await insert(client, service, {"model": "m", "media": media})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("media.")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("A" * 13_981_012 + "AA==", 200),  # 10 MiB exactly
        ("A" * 13_981_016, 413),
        ("data:image/png;base64," + "A" * 13_981_016, 413),
        ("~" * 13_981_016, 200),  # opaque: no size but its own
    ],
)
async def test_an_image_beyond_10_mib_is_refused(
    data: str, status: int, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await insert(client, service, images(data))
    assert answer.status_code == status


async def test_an_update_checks_what_it_is_given_and_nothing_else(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    record_id = (await insert(client, service, {"model": "m"})).json()["id"]
    good: list[Any] = [{}, {"model": None}, {"cost": 1}, {"media": {"response": []}}]
    bad: list[Any] = [{"model": ""}, {"cost": -1}, {"duration": "1"}, {"media": {"request": [1]}}, [], None]
    for changes in good:
        assert (await update(client, service, {"id": record_id, "update_data": changes})).status_code == 200
    for changes in bad:
        assert (await update(client, service, {"id": record_id, "update_data": changes})).status_code == 400
    assert len(service.bus.records) == 1 + len(good)


@pytest.mark.parametrize("record_id", [None, "", 5])
async def test_an_update_needs_an_id(record_id: Any, service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await update(client, service, {"id": record_id, "update_data": {}})
    assert (answer.status_code, answer.json()) == (400, {"error": "id must be a non-empty string"})


async def test_an_id_of_another_project_is_not_found(service: IngestService, client: httpx.AsyncClient) -> None:
    foreign = await client.post("/logs/insert", content=b'{"model":"m"}', headers={"x-api-key": service.texts.foreign})
    for record_id in (foreign.json()["id"], "log_entry_id", "00000000-0000-7000-8000-000000000000"):
        answer = await update(client, service, {"id": record_id, "update_data": {"cost": 1}})
        assert (answer.status_code, answer.json()) == (404, {"error": "Log entry not found"})
    assert len(service.bus.records) == 1


async def test_an_id_is_known_however_it_is_written(service: IngestService, client: httpx.AsyncClient) -> None:
    record_id = (await insert(client, service, {"model": "m"})).json()["id"]
    answer = await update(client, service, {"id": record_id.upper(), "update_data": {}})
    assert (answer.status_code, answer.json()["id"]) == (200, record_id)


async def test_any_record_of_the_project_can_be_updated_also_one_never_stored(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    record_id = ids.plain_id(NOW_MS, service.keys.id_secret(ProjectId(PROJECT)))
    assert (await update(client, service, {"id": record_id, "update_data": {"cost": 1}})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
async def test_another_method_is_refused_after_the_key(
    method: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    without = await client.request(method, "/api/logs/insert")
    with_key = await client.request(method, "/api/logs/insert", headers=service.log_entries)
    assert (without.status_code, with_key.status_code) == (401, 405)
    if method != "HEAD":
        assert (without.json(), with_key.json()) == ({"error": "Missing API key"}, {"error": "Method not allowed"})


async def test_the_key_is_checked_before_the_body(service: IngestService, client: httpx.AsyncClient) -> None:
    missing = await client.post("/logs/insert", content=b"{bad")
    unknown = await client.post("/logs/insert", content=b"{bad", headers={"x-api-key": "nobody"})
    read_only = await client.post("/logs/insert", content=b"{bad", headers={"x-api-key": service.texts.read_only})
    with_bearer = await client.post(
        "/logs/insert", content=b'{"model":"m"}', headers={"x-api-key": f"Bearer {service.texts.good}"}
    )
    assert (missing.status_code, missing.json()) == (401, {"error": "Missing API key"})
    assert (unknown.status_code, unknown.json()) == (401, {"error": "Invalid API key"})
    assert (read_only.status_code, read_only.json()) == (401, {"error": "Invalid API key"})
    assert with_bearer.status_code == 200
