"""A real server and real clients: an export that is not whole is seen as such, and nobody's absence is paid for."""

import asyncio
import http.client
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast
from urllib.parse import urlsplit

import httpx
import pytest
from clickhouse_connect.driver import Client
from litestar import Litestar, get
from litestar.di import Provide
from litestar.types import ASGIApp

from deploy.http_server import bind, serve
from ledger.errors import StoreUnavailable
from ledger.ids import ProjectId
from ledger.keys import KeyRing
from ledger.settings import BlobsSection, KeysSection, StoreSection
from ledger.store.clickhouse import ClickHousePool
from query_api.app import create_app
from query_api.export.loading import FIRST_ROWS
from query_api.export.places import Places
from query_api.export.sending import PIECE_BYTES, Download
from query_api.settings import QuerySettings
from query_api.views import iso
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import MemoryBlobs, QueryService

T = TypeVar("T")
Parts = AsyncGenerator[bytes, None]
WAIT_SECONDS = 30.0
SHOP = ProjectId("shop")


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The address of this application behind a real server."""
    stop = asyncio.Event()
    with bind("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        serving = asyncio.create_task(serve(app, listener, stop, drain_seconds=5))
        try:
            yield f"http://{host}:{port}"
        finally:
            stop.set()
            await serving


def app_of(parts: Callable[[], Parts], stopping: asyncio.Event | None = None) -> Litestar:
    """An application whose only answer is a download of these parts."""

    @get("/")
    async def download() -> Download:
        return Download(parts(), stopping or asyncio.Event(), {}, "text/csv")

    return Litestar([download], openapi_config=None, logging_config=None)


async def whole(url: str) -> bytes:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).content


def whole_by_http_client(url: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


async def test_a_whole_download_ends_as_one() -> None:
    async def parts() -> Parts:
        yield b"a" * (2 * PIECE_BYTES + 1)
        yield b""
        yield b"b"

    async with served(app_of(parts)) as url:
        wanted = b"a" * (2 * PIECE_BYTES + 1) + b"b"
        assert await whole(url) == wanted
        assert await asyncio.to_thread(whole_by_http_client, url) == wanted


async def test_a_failure_in_the_middle_is_an_incomplete_read_to_every_client() -> None:
    async def parts() -> Parts:
        yield b"one line\n"
        raise StoreUnavailable("The store is away.")

    async with served(app_of(parts)) as url:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await whole(url)
        with pytest.raises(http.client.IncompleteRead):
            await asyncio.to_thread(whole_by_http_client, url)


async def test_a_service_that_stops_breaks_its_downloads_off() -> None:
    stopping, never = asyncio.Event(), asyncio.Event()

    async def parts() -> Parts:
        yield b"one line\n"
        await never.wait()

    async with (
        served(app_of(parts, stopping)) as url,
        httpx.AsyncClient() as client,
        client.stream("GET", url) as answer,
    ):
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"one line\n"
        stopping.set()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await anext(chunks)


async def test_a_client_that_goes_away_stops_the_work() -> None:
    closed, never = asyncio.Event(), asyncio.Event()

    async def parts() -> Parts:
        try:
            yield b"one line\n"
            await never.wait()
        finally:
            closed.set()

    async with served(app_of(parts)) as url:
        async with httpx.AsyncClient() as client, client.stream("GET", url) as answer:
            assert await anext(answer.aiter_raw()) == b"one line\n"
        await asyncio.wait_for(closed.wait(), WAIT_SECONDS)


async def test_a_client_that_does_not_read_holds_the_work_back() -> None:
    taken, most = 0, 40

    async def parts() -> Parts:
        nonlocal taken
        for _ in range(most):
            taken += 1
            yield bytes(2 * 1024**2)
            await asyncio.sleep(0)

    async with served(app_of(parts)) as url, httpx.AsyncClient() as client:
        async with client.stream("GET", url):
            before = -1
            while taken != before:  # the socket's buffers fill up, and then nothing more is taken
                before = taken
                await asyncio.sleep(0.2)
            assert taken < most
        assert len(await whole(url)) == most * 2 * 1024**2


async def test_a_client_that_never_reads_loses_its_place() -> None:
    closed = asyncio.Event()

    async def parts() -> Parts:
        try:
            while True:
                yield bytes(2 * 1024**2)
                await asyncio.sleep(0)
        finally:
            closed.set()

    @get("/")
    async def download() -> Download:
        return Download(parts(), asyncio.Event(), {}, "text/csv", patience_seconds=0.2)

    app = Litestar([download], openapi_config=None, logging_config=None)
    async with served(app) as url, httpx.AsyncClient() as client, client.stream("GET", url) as answer:
        await asyncio.wait_for(closed.wait(), WAIT_SECONDS)
        assert await until_it_breaks(answer)


class FailingPool(ClickHousePool):
    """A store that is away after so many statements."""

    left = 10**9

    def run_here(self, statement: Callable[[Client], T]) -> T:
        """What the store says, as long as it is there."""
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("The store is away.")
        return super().run_here(statement)


@asynccontextmanager
async def over_failing_store(service: QueryService) -> AsyncIterator[tuple[str, FailingPool, Places]]:
    """The same service over a store that can be made to fail, behind a real server."""
    pool = FailingPool(service.dsn, threads=2)
    keys = KeysSection(service.keys.file)
    settings = QuerySettings(store=StoreSection(service.dsn), keys=keys, blobs=BlobsSection("memory://"))
    app = create_app(settings, pool=pool, keys=KeyRing(keys.file), blobs=MemoryBlobs())
    places = cast(Provide, app.dependencies["export_places"]).dependency()
    try:
        async with served(app) as url:
            yield url, pool, places
    finally:
        pool.close()


async def until_it_breaks(answer: httpx.Response) -> bytes:
    """All that came. An answer that is whole is a failure."""
    got = b""
    try:
        async for chunk in answer.aiter_bytes():
            got += chunk
    except httpx.RemoteProtocolError:
        return got
    raise AssertionError("it ended as if it were whole")


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet", "arrow"])
async def test_a_store_that_fails_in_the_middle_breaks_the_export_off(service: QueryService, format_: str) -> None:
    await service.add(*(a_request_log(id=an_id(A_TIME, number)) for number in range(FIRST_ROWS + 5)))
    query = {"format": format_, "bodies": "true", "to": iso(A_TIME + 1)}
    key = {"Authorization": service.keys.shop}
    async with over_failing_store(service) as (url, pool, places), httpx.AsyncClient(base_url=url) as client:
        pool.left = 2  # a page, the bodies of its first part; not those of its second
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await client.get("/api/v1/requests/export", params=query, headers=key)
        pool.left = 0
        refused = await client.get("/api/v1/requests/export", params=query, headers=key)
        assert refused.status_code == 503
        with places.taken(SHOP), places.taken(SHOP):  # both were given back
            pool.left = 10**9
        assert (await client.get("/api/v1/requests/export", params=query, headers=key)).status_code == 200


async def test_what_came_of_a_broken_export_is_whole_lines_to_go_on_from(service: QueryService) -> None:
    rows = FIRST_ROWS + 5
    await service.add(*(a_request_log(id=an_id(A_TIME, number)) for number in range(rows)))
    query = {"format": "ndjson", "columns": "id,prompt", "to": iso(A_TIME + 1)}
    key = {"Authorization": service.keys.shop, "Accept-Encoding": "gzip"}
    async with over_failing_store(service) as (url, pool, _), httpx.AsyncClient(base_url=url) as client:
        pool.left = 2  # as above
        async with client.stream("GET", "/api/v1/requests/export", params=query, headers=key) as answer:
            got = await until_it_breaks(answer)
        pool.left = 10**9
        last = got.splitlines()[-1]
        assert got.endswith(b"\n")
        after = {"after_id": last.split(b'"')[3].decode()}
        rest = await client.get("/api/v1/requests/export", params=query | after, headers=key)
    assert len(got.splitlines()) == FIRST_ROWS
    assert len(rest.content.splitlines()) == rows - FIRST_ROWS
    assert len({*got.splitlines(), *rest.content.splitlines()}) == rows
