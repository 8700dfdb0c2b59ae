"""One address for both services: who answers which path, the health pages, and one API document."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from deploy.routes import ROUTES, Page, Service, merged_schema, readiness, standalone_app
from ledger.blobs.obstore import ObstoreBlobs
from ledger.keys import KeyRing
from ledger.settings import BlobsSection, KeysSection, StoreSection
from ledger.store.clickhouse import ClickHousePool
from query_api.app import create_app as create_query_app
from query_api.settings import QuerySettings
from tests.unit.ingest_api.service import IngestService, make_service

NOWHERE = "http://127.0.0.1:1/nowhere"


@pytest.fixture
def ingest(tmp_path: Path) -> IngestService:
    return make_service(tmp_path)


@pytest.fixture
def query(ingest: IngestService) -> Iterator[Litestar]:
    """The query service over a store that is never reached."""
    keys = KeysSection(ingest.keys.path)
    settings = QuerySettings(store=StoreSection(NOWHERE), keys=keys, blobs=BlobsSection("memory:///"))
    pool = ClickHousePool(NOWHERE, threads=1)
    yield create_query_app(settings, pool=pool, keys=KeyRing(keys.file), blobs=ObstoreBlobs("memory:///"))
    pool.close()


@pytest.fixture
def checks() -> dict[str, str]:
    return {"worker": "ok"}


@pytest.fixture
async def client(ingest: IngestService, query: Litestar, checks: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    app: Any = standalone_app(ingest.app, query, lambda: checks)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ledger.test") as client:
        yield client


def test_the_query_service_answers_its_own_paths_and_nothing_else() -> None:
    assert {route.service for route in ROUTES} == {Service.QUERY}
    assert "/api/v1/requests" in {route.path for route in ROUTES}
    assert len(set(ROUTES)) == len(ROUTES)


@pytest.mark.parametrize("path", ["/api/v1/report", "/api//v1/report/", "/report"])
async def test_reports_go_to_the_one_service(client: httpx.AsyncClient, ingest: IngestService, path: str) -> None:
    answer = await client.post(path, content=b"{}", headers=ingest.openpipe)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert len(ingest.bus.records) == 1


@pytest.mark.parametrize("path", ["/api/v1/requests", "/api/v1/requests/", "/api/v1//requests", "/api/v1/requests/x"])
async def test_lists_go_to_the_other(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


async def test_unknown_paths_get_an_answer_of_the_api_that_they_look_like(client: httpx.AsyncClient) -> None:
    answers = [await client.get(path) for path in ("/nothing", "/api/reporting/x", "/api/logs/x")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert [next(iter(answer.json())) for answer in answers] == ["message", "statusCode", "error"]


async def test_the_pages_of_health_and_version_are_shared(client: httpx.AsyncClient, checks: dict[str, str]) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}
    assert (await client.get("/health/ready")).json() == {"status": "ok", "checks": {"worker": "ok"}}
    assert (await client.get("/version")).json()["name"] == "llmledger"
    checks["worker"] = "not reading"
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json"])
async def test_one_document_describes_both(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    document = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert {"/api/v1/report", "/api/v1/requests", "/api/logs/insert"} <= set(document["paths"])
    assert document["info"]["title"] == "LLM Ledger"
    referred = {text.rpartition("/")[2] for text in references(document)}
    assert referred <= set(document["components"]["schemas"]) | set(document["components"].get("securitySchemes", {}))


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_two_services_on_one_path_are_both_described_and_what_comes_first_wins() -> None:
    @get("/shared", summary="first")
    async def first() -> str:
        return ""

    @get(["/shared", "/own"], summary="second")
    async def second() -> str:
        return ""

    document = merged_schema(Litestar([first]), Litestar([second]))
    assert set(document["paths"]) == {"/shared", "/own"}
    assert document["paths"]["/shared"]["get"]["summary"] == "first"
    assert "servers" not in document


@pytest.mark.parametrize(
    ("checks", "status"), [({}, 200), ({"a": "ok", "b": "ok"}, 200), ({"a": "ok", "b": "away"}, 503)]
)
def test_ready_is_when_every_check_is_well(checks: dict[str, str], status: int) -> None:
    code, body = readiness(checks)
    assert code == status
    assert json.loads(body)["checks"] == checks


async def test_a_head_of_a_page_has_its_length_and_no_body() -> None:
    app: Any = Page(lambda: (200, b'{"a":1}'))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ledger.test") as client:
        answer = await client.head("/")
    assert (answer.content, answer.headers["content-length"]) == (b"", "7")


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 200, b'{"a":1}'),
        ("HEAD", 200, b""),
        ("OPTIONS", 204, b""),
        ("POST", 405, b'{"error":"Method not allowed"}'),
    ],
)
async def test_a_page_answers_reading_only_and_any_origin(method: str, status: int, body: bytes) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await Page(lambda: (200, b'{"a":1}'))({"method": method}, None, send)
    assert (sent[0]["status"], sent[1]["body"]) == (status, body)
    assert (b"access-control-allow-origin", b"*") in sent[0]["headers"]
