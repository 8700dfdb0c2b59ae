"""The service as HTTP sees it: keys, methods, CORS, health, and what it says when the store does not answer."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.filtering.statements import Statement
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool
from query_api.errors import TooExpensive
from query_api.reading import Reader
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import QueryService, query_service

PATHS = ["/api/v1/requests", f"/api/v1/requests/{an_id(A_TIME, 1)}", "/api/v1/media/" + "0" * 64]
NO_KEY = {"error": "You must be logged in or provide an API key."}
WRONG_KEY = {"error": "Invalid API key."}


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture
def away(tmp_path: Path) -> Iterator[QueryService]:
    """A service whose store is not there."""
    with query_service("http://127.0.0.1:9/default", tmp_path) as running:
        yield running


def content(answer: httpx.Response) -> object:
    """The body; an answer to HEAD has none."""
    return answer.json() if answer.request.method != "HEAD" else None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
async def test_the_key_is_checked_before_the_method(service: QueryService, path: str, method: str) -> None:
    async with service.http() as client:
        for headers in ({}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"X-Api-Key": " "}):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert content(answer) in (NO_KEY, None)
        for key in ("nope", service.keys.shop[:-1], service.keys.ingest_only, "ключ".encode().decode("latin-1")):
            for name, text in (("Authorization", f"Bearer {key}"), ("X-Api-Key", key)):
                answer = await client.request(method, path, headers=[(name.encode(), text.encode("latin-1"))])
                assert answer.status_code == 401
                assert content(answer) in (WRONG_KEY, None)


@pytest.mark.parametrize("path", PATHS)
async def test_other_methods_are_refused_to_those_with_a_key(service: QueryService, path: str) -> None:
    async with service.http() as client:
        for method in ("POST", "PUT", "DELETE", "HEAD", "PATCH"):
            answer = await client.request(method, path, headers={"Authorization": service.keys.shop})
            assert answer.status_code == 405
            assert content(answer) in ({"error": "Method not allowed"}, None)
            assert "GET" in answer.headers["allow"]


async def test_a_key_is_taken_from_either_header_with_or_without_bearer(service: QueryService) -> None:
    key = service.keys.shop
    async with service.http() as client:
        for headers in (
            {"Authorization": key},
            {"Authorization": f"Bearer {key}"},
            {"Authorization": f"bearer  {key} "},
            {"x-api-key": key},
            {"x-api-key": f"Bearer {key}"},
        ):
            assert (await client.get("/api/v1/requests", headers=headers)).status_code == 200


async def test_doubled_and_trailing_slashes_do_not_matter(service: QueryService) -> None:
    for path in ("/api/v1/requests/", "http://ledger//api//v1/requests", "/api/v1//requests//"):
        assert (await service.get(path)).status_code == 200


async def test_unknown_paths_are_not_found(service: QueryService) -> None:
    for path in ("/", "/requests", "/api/v1/Requests", f"{PATHS[1]}/more", "/api/v1/media"):
        answer = await service.get(path)
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


@pytest.mark.parametrize("path", PATHS)
async def test_any_origin_may_ask(service: QueryService, path: str) -> None:
    asking = {
        "Origin": "https://dashboard.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, x-api-key",
    }
    async with service.http() as client:
        bare = await client.options(path)
        preflight = await client.options(path, headers=asking)
        refused = await client.get(path, headers={"Origin": "https://dashboard.example"})
    assert bare.status_code == preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert {"authorization", "x-api-key"} <= set(
        preflight.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    )
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in refused.headers


@pytest.mark.parametrize("path", PATHS)
async def test_a_store_that_is_away_is_a_503_to_come_back_for(away: QueryService, path: str) -> None:
    answer = await away.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert list(answer.json()) == ["error"]


async def test_a_key_is_checked_also_while_the_store_is_away(away: QueryService) -> None:
    assert (await away.get(PATHS[0], "nope")).status_code == 401
    assert (await away.get(PATHS[0], pageSize="many")).status_code == 400


async def test_a_missing_key_file_is_a_503(chdb_schema_dsn: str, tmp_path: Path) -> None:
    with query_service(chdb_schema_dsn, tmp_path) as running:
        running.keys.file.unlink()
        assert (await running.get(PATHS[0])).status_code == 503
    with query_service(chdb_schema_dsn, tmp_path) as running:
        running.keys.file.unlink()
        assert (await running.get("/health/ready", "")).json()["checks"]["keys"] == "Misconfigured"


async def test_health_tells_what_is_missing(service: QueryService, away: QueryService) -> None:
    ready, unready = await service.get("/health/ready", ""), await away.get("/health/ready", "")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "checks": {"store": "ok", "keys": "ok"}})
    assert (unready.status_code, unready.json()["status"]) == (503, "unavailable")
    assert unready.json()["checks"] == {"store": "StoreUnavailable", "keys": "ok"}
    assert (await away.get("/health/live", "")).json() == {"status": "ok"}
    assert (await away.get("/version", "")).json()["service"] == "query-api"


async def test_reading_cannot_write(service: QueryService) -> None:
    await service.clear()
    await service.add(a_request_log())
    reader = Reader(service.pool, QueryCaps())
    for sql in ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "SELECT * FROM url('http://127.0.0.1:9/', 'CSV')"):
        with pytest.raises(Exception, match="code 164"):
            await reader.rows(Statement(sql, {}))
    assert await service.ids() == [an_id(A_TIME, 1)]


async def test_a_statement_that_takes_too_long_is_ended(chdb_schema_dsn: str) -> None:
    pool = ClickHousePool(chdb_schema_dsn, threads=1)
    try:
        with pytest.raises(TooExpensive, match="longer than 1 s"):
            await Reader(pool, QueryCaps(max_seconds=1)).rows(Statement("SELECT count() FROM numbers(1e15)", {}))
    finally:
        pool.close()
