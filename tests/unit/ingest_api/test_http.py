"""What holds for every path: slashes, CORS, unknown paths and methods, health, the OpenAPI document."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.exceptions import TooManyRequestsException

from ingest_api.health import TRIAL_SECONDS, BusHealth
from ingest_api.routes import BATCH, PATHS, ROUTES, Family, family_of
from ledger.errors import BodyNotKept, BusUnavailable
from tests.unit.ingest_api.service import (
    PRICE_VERSION,
    IngestService,
    RaisingBus,
    a_pezzo_report,
    as_json,
    make_service,
)

NOT_FOUND = {"message": "Not found", "code": "NOT_FOUND"}


@pytest.mark.parametrize(
    "path",
    ["/report/", "//report", "/api//v1///report//", "/api/v1/report/", "//reporting/v2//request/", "/logs//insert/"],
)
async def test_slashes_do_not_matter(path: str, service: IngestService, client: httpx.AsyncClient) -> None:
    body = as_json(a_pezzo_report(model="m"))
    headers = service.openpipe | service.pezzo | service.log_entries
    answer = await client.post(f"http://ledger.test{path}", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(service.bus.records) == 1


@pytest.mark.parametrize("content_type", [None, "application/json", "application/json; charset=utf-8", "text/plain"])
async def test_the_content_type_does_not_matter(
    content_type: str | None, service: IngestService, client: httpx.AsyncClient
) -> None:
    headers = service.openpipe | ({"content-type": content_type} if content_type else {})
    assert (await client.post("/report", content=b"{}", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/", NOT_FOUND),
        ("POST", "/api/v1/chat/completions", NOT_FOUND),
        ("POST", "/api/v1/Report", NOT_FOUND),
        ("POST", "/logs/update-tags", NOT_FOUND),
        ("GET", "/api/v1/local-testing-only-get-latest-logged-call", NOT_FOUND),
        ("PROPFIND", "/report", NOT_FOUND),
        (
            "GET",
            "/api/prompts/v2/deployment",
            {"statusCode": 404, "message": "Cannot GET /api/prompts/v2/deployment", "error": "Not Found"},
        ),
        ("POST", "/cache", {"statusCode": 404, "message": "Cannot POST /cache", "error": "Not Found"}),
        (
            "GET",
            "/cache/v1/request/save",
            {"statusCode": 404, "message": "Cannot GET /cache/v1/request/save", "error": "Not Found"},
        ),
        ("POST", "/api/logs/delete", {"error": "Not found"}),
    ],
)
async def test_what_is_not_there_is_said_in_the_manner_of_its_path(
    method: str, path: str, body: object, client: httpx.AsyncClient
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, body)


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/reporting", Family.PEZZO),
        ("//api//cache/x/", Family.PEZZO),
        ("/prompts/v2", Family.PEZZO),
        ("/api/reportings", Family.OPENPIPE),
        ("/api/logs", Family.LOG_ENTRIES),
        ("/api/logs/x", Family.LOG_ENTRIES),
        ("/logs/insert/", Family.LOG_ENTRIES),
        ("/logs/update", Family.LOG_ENTRIES),
        ("/logs/update-tags", Family.OPENPIPE),
        ("/api/v1/logs/update-tags", Family.OPENPIPE),
        ("", Family.OPENPIPE),
    ],
)
def test_every_path_has_a_family(path: str, family: Family) -> None:
    assert family_of(path) is family


@pytest.mark.parametrize("path", ["/report", "/api/v1/report-anthropic", "/check-cache/"])
async def test_head_on_openpipe_paths_has_no_content(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["/report", "/api/reporting/v2/request", "/logs/update", "/nope", "/health/live"])
@pytest.mark.parametrize("origin", [{}, {"origin": "https://app.example"}])
async def test_options_needs_no_key(path: str, origin: dict[str, str], client: httpx.AsyncClient) -> None:
    headers = origin | {"access-control-request-headers": "authorization, x-api-key, idempotency-key"}
    answer = await client.options(path, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    if origin:
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert {"authorization", "x-api-key", "idempotency-key"} <= set(allowed.split(", "))
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/report", "/api/reporting/v2/request", "/logs/insert", "/nope"])
async def test_any_origin_may_read_any_answer(path: str, service: IngestService, client: httpx.AsyncClient) -> None:
    headers = service.openpipe | {"origin": "https://app.example"}
    answer = await client.post(path, content=b"{}", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "LLMLedger-Position" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/report", "/reporting/v2/request", "/logs/insert"])
async def test_a_fault_of_ours_shows_no_traceback(path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = make_service(tmp_path, RaisingBus(ZeroDivisionError("secret")))
    with caplog.at_level(logging.ERROR, "ingest_api"):
        answer = await answer_of(service, path)
    shapes = {
        "/report": {"message": "Internal server error", "code": "INTERNAL_SERVER_ERROR"},
        "/reporting/v2/request": {"statusCode": 500, "message": "Internal Server Error"},
        "/logs/insert": {"error": "Internal server error"},
    }
    assert (answer.status_code, answer.json()) == (500, shapes[path])
    assert [record.message for record in caplog.records] == ["Request failed."]
    assert service.texts.good not in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "answers"),
    [
        (
            RecursionError(),
            400,
            [
                {"message": "Failed to parse request body", "code": "PARSE_ERROR"},
                {"statusCode": 400, "message": "The JSON is nested too deeply.", "error": "Bad Request"},
                {"error": "The JSON is nested too deeply."},
            ],
        ),
        (
            TooManyRequestsException(),
            429,
            [
                {"message": "Too many requests", "code": "TOO_MANY_REQUESTS"},
                {"statusCode": 429, "message": "Too Many Requests"},
                {"error": "Too many requests"},
            ],
        ),
    ],
)
async def test_errors_from_deep_inside_have_each_familys_shape(
    error: Exception, status: int, answers: list[Any], tmp_path: Path
) -> None:
    service = make_service(tmp_path, RaisingBus(error))
    for path, expected in zip(("/report", "/reporting/v2/request", "/logs/insert"), answers, strict=True):
        answer = await answer_of(service, path)
        assert (answer.status_code, answer.json()) == (status, expected)
        assert ("Retry-After" in answer.headers) == (status == 429)


async def answer_of(service: IngestService, path: str) -> httpx.Response:
    """What a body gets that is good for every family, with every family's key."""
    headers = service.openpipe | service.pezzo | service.log_entries
    body = as_json(a_pezzo_report(model="m"))
    async with service.client() as client:
        return await client.post(path, content=body, headers=headers)


async def test_the_process_tells_how_it_is(service: IngestService, client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}
    assert (await client.get("/health/ready")).status_code == 503
    async with service.app.lifespan():
        assert (await client.get("/health/ready")).status_code == 200
    about = (await client.get("/version")).json()
    assert (about["service"], about["price_version"]) == ("ingest-api", PRICE_VERSION)
    assert about["version"]


@pytest.mark.parametrize(("error", "ready"), [(BusUnavailable(), 503), (BodyNotKept(), 200)], ids=repr)
async def test_a_blob_store_that_is_away_says_nothing_of_the_bus(
    error: BusUnavailable, ready: int, tmp_path: Path
) -> None:
    """Else a node would lose its traffic for the large bodies alone."""
    service = make_service(tmp_path, RaisingBus(error), unready_after_seconds=0.0)
    async with service.app.lifespan(), service.client() as client:
        refused = await client.post("/report", content=b"{}", headers=service.openpipe)
        batch = b'{"kind": "openpipe.report", "body": {}}'
        several = await client.post("/api/v1/reports", content=batch, headers=service.openpipe)
        assert (refused.status_code, several.status_code) == (503, 503)
        assert (await client.get("/health/ready")).status_code == ready


def test_a_node_is_unready_only_after_a_long_outage_and_not_for_ever() -> None:
    at = [0.0]
    health = BusHealth(unready_after_seconds=60.0, now=lambda: at[0], started=True)
    seen = []
    for at[0] in (0.0, 59.0, 61.0):
        health.refused()
        seen.append(health.ready)
    at[0] += TRIAL_SECONDS
    seen.append(health.ready)
    health.refused()
    seen.append(health.ready)
    health.confirmed()
    seen.append(health.ready)
    assert seen == [True, True, False, True, False, True]


async def test_the_document_describes_what_is_served(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    served = {(method, path) for method, path in ROUTES if method == "POST"}
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == served
    assert {path for _, path in served} == PATHS
    for path, item in document["paths"].items():
        operation = item["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["items"] if path in BATCH else schema["properties"], path
        assert {"200", "400", "401", "408", "413", "415", "503"} <= set(operation["responses"]), path
        assert operation["security"], path


async def test_every_reference_of_the_document_leads_somewhere(client: httpx.AsyncClient) -> None:
    text = (await client.get("/schema/openapi.json")).text
    document = json.loads(text)
    schemes = set(document["components"]["securitySchemes"])
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names == set(document["components"]["schemas"])
    assert "#/$defs" not in text
    used = {name for item in document["paths"].values() for need in item["post"]["security"] for name in need}
    assert used == schemes


async def test_the_document_tells_of_stored_events_how_to_find_and_repeat_them(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/schema/openapi.json")).json()["paths"]
    stored, asked = paths["/report"]["post"], paths["/check-cache"]["post"]
    assert set(stored["responses"]["200"]["headers"]) == {"LLMLedger-Log-Id", "LLMLedger-Position"}
    assert [parameter["name"] for parameter in stored["parameters"]] == ["Idempotency-Key"]
    assert "parameters" not in asked
    assert asked["deprecated"]
