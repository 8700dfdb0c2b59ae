"""Identity, idempotency keys, and what a caller hears when the bus does not confirm."""

import httpx
import pytest

from ledger import ids
from ledger.report import Kind
from tests.unit.ingest_api.service import NOW_MS, IngestService, a_pezzo_report, as_json

PATHS = ["/report", "/reporting/v2/request", "/logs/insert"]


async def post(client: httpx.AsyncClient, service: IngestService, path: str, key: str | None = None) -> httpx.Response:
    """Send a good body of the path's family."""
    families = {
        "/report": (service.openpipe, b"{}"),
        "/reporting/v2/request": (service.pezzo, as_json(a_pezzo_report())),
        "/logs/insert": (service.log_entries, b'{"model":"m"}'),
    }
    headers, body = families[path]
    return await client.post(path, content=body, headers=headers | ({} if key is None else {"Idempotency-Key": key}))


@pytest.mark.parametrize("path", PATHS)
async def test_a_retry_under_the_same_key_is_the_same_record(
    path: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    for key in ("order 17", "  order 17 ", "order 18"):
        assert (await post(client, service, path, key)).status_code == 200
    first, again, other = (service.envelope(index) for index in range(3))
    assert first.record_id == again.record_id != other.record_id
    assert str(first.event_id) == first.record_id
    assert ids.is_keyed(first.record_id)
    assert (first.idempotency_key, again.idempotency_key) == ("order 17", "order 17")


async def test_without_a_key_every_report_is_a_record_of_its_own(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    await post(client, service, "/report")
    await post(client, service, "/report")
    first, second = service.envelope(0), service.envelope(1)
    assert first.record_id != second.record_id
    assert first.idempotency_key is None
    assert ids.created_at_ms_of(first.record_id) == first.created_at


async def test_the_same_key_in_another_project_is_another_record(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    for key in (service.texts.good, service.texts.foreign):
        headers = {"authorization": f"Bearer {key}", "Idempotency-Key": "1"}
        await client.post("/report", content=b"{}", headers=headers)
    assert service.envelope(0).record_id != service.envelope(1).record_id


async def test_a_retried_update_is_the_same_event_and_not_the_record_of_that_key(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    record_id = (await post(client, service, "/logs/insert", "k")).json()["id"]
    body = as_json({"id": record_id, "update_data": {"cost": 1}})
    for key in ({"Idempotency-Key": "k"}, {"Idempotency-Key": "k"}, {}, {}):
        await client.post("/logs/update", content=body, headers=service.log_entries | key)
    events = [service.envelope(index).event_id for index in range(1, 5)]
    assert events[0] == events[1] != record_id
    assert len(set(events)) == 3
    assert {service.envelope(index).kind for index in range(1, 5)} == {Kind.LOG_UPDATE}
    assert service.envelope(1).created_at == service.envelope(1).accepted_at == NOW_MS


@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "tab\there", "gr\u00fcn"])
async def test_a_bad_key_is_refused_in_each_manner(key: str, service: IngestService, client: httpx.AsyncClient) -> None:
    text = "Idempotency-Key must be 1 to 255 printable ASCII characters."
    shapes = {
        "/report": {
            "message": "Input validation failed",
            "code": "BAD_REQUEST",
            "issues": [{"code": "custom", "path": ["Idempotency-Key"], "message": text}],
        },
        "/reporting/v2/request": {"statusCode": 400, "message": text, "error": "Bad Request"},
        "/logs/insert": {"error": text},
    }
    bodies = {"/report": b"{}", "/reporting/v2/request": as_json(a_pezzo_report()), "/logs/insert": b'{"model":"m"}'}
    headers = service.openpipe | service.pezzo | service.log_entries
    for path, shape in shapes.items():
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"Idempotency-Key", key.encode("latin-1")))
        answer = await client.post(path, content=bodies[path], headers=raw)
        assert (answer.status_code, answer.json()) == (400, shape)
    assert service.bus.records == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/report", {"message": "Not confirmed, retry", "code": "SERVICE_UNAVAILABLE"}),
        (
            "/reporting/v2/request",
            {"statusCode": 503, "message": "Not confirmed, retry", "error": "Service Unavailable"},
        ),
        ("/logs/insert", {"error": "Not confirmed, retry"}),
    ],
)
async def test_nothing_is_accepted_that_the_bus_did_not_confirm(
    path: str, body: object, service: IngestService, client: httpx.AsyncClient
) -> None:
    service.bus.away = True
    answer = await post(client, service, path)
    assert (answer.status_code, answer.json()) == (503, body)
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    service.bus.away = False
    assert (await post(client, service, path)).status_code == 200


async def test_a_key_file_that_is_gone_is_our_trouble_and_not_the_callers(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    service.keys.path.unlink()
    answer = await post(client, service, "/report")
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
