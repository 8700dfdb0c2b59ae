"""The query service over chDB, asked through HTTP without a socket; rows go in through the store's own adapter."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import msgspec
from litestar import Litestar

from ledger.bus import Publisher
from ledger.ids import ProjectId
from ledger.keys import KeyRing, Scope, fresh_content, with_new_key
from ledger.request_log import RequestLog
from ledger.settings import BlobsSection, KeysSection, QueryCaps, StoreSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from query_api.app import create_app
from query_api.settings import QuerySettings

TABLES = ("request_logs", "request_bodies", "request_keys")
A_NOW = datetime(2026, 4, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TestKeys:
    """A key file with a key of each sort."""

    __test__ = False

    file: Path
    shop: str
    bank: str
    everything: str
    ingest_only: str
    admin: str  # of the project shop
    admin_of_all: str


def keys_in(folder: Path) -> TestKeys:
    """A new key file in this folder."""
    content, texts = fresh_content(), []
    for project, scope in (
        ("shop", Scope.QUERY),
        ("bank", Scope.QUERY),
        ("*", Scope.QUERY),
        ("shop", Scope.INGEST),
        ("shop", Scope.ADMIN),
        ("*", Scope.ADMIN),
    ):
        made = with_new_key(content, project, [scope], "2026-01-01T00:00:00Z")
        content = made.content
        texts.append(made.key)
    file = folder / "keys.json"
    file.write_bytes(msgspec.json.encode(content))
    return TestKeys(file, *texts)


@dataclass(slots=True)
class MemoryBlobs:
    """`BlobStore` in a dictionary."""

    stored: dict[tuple[ProjectId, str], bytes] = field(default_factory=dict)

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        self.stored[project, sha256] = data

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        return self.stored.get((project, sha256))


@dataclass(frozen=True, slots=True)
class QueryService:
    """What a test needs of the service: its store to put rows into, its address to ask, its keys."""

    dsn: str
    pool: ClickHousePool
    store: ClickHouseStore
    keys: TestKeys
    blobs: MemoryBlobs
    app: Litestar

    async def add(self, *logs: RequestLog) -> None:
        """Write bodies, then rows, as one insert each (per month)."""
        token = uuid4().hex
        await self.store.insert_bodies(logs, token)
        await self.store.insert_rows(logs, token)

    async def clear(self) -> None:
        """Forget all rows."""
        for table in TABLES:
            await self.pool.run(lambda client, t=table: client.command(f"TRUNCATE TABLE {t}"))  # type: ignore[misc]

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the service."""
        transport = httpx.ASGITransport(cast(Any, self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
            yield client

    async def get(self, path: str, key: str | None = None, **query: Any) -> httpx.Response:
        """One GET; with the key of the project shop unless another is given, without any for ''."""
        text = self.keys.shop if key is None else key
        async with self.http() as client:
            return await client.get(path, params=query or None, headers={"Authorization": text} if text else {})

    async def listed(self, key: str | None = None, **query: Any) -> Mapping[str, Any]:
        """The documented list."""
        answer = await self.get("/api/v1/requests", key, **query)
        assert answer.status_code == 200, answer.text
        content: Mapping[str, Any] = answer.json()
        return content

    async def ids(self, key: str | None = None, **query: Any) -> Sequence[str]:
        """The ids of one page of the documented list."""
        return [item["id"] for item in (await self.listed(key, **query))["requests"]]


@contextmanager
def query_service(
    dsn: str, folder: Path, caps: QueryCaps | None = None, publisher: Publisher | None = None
) -> Iterator[QueryService]:
    """The service over the database at this DSN, with keys of its own; without a publisher it knows no bus."""
    keys = keys_in(folder)
    settings = QuerySettings(
        store=StoreSection(dsn),
        keys=KeysSection(keys.file),
        blobs=BlobsSection("memory://"),
        caps=caps or QueryCaps(),
    )
    pool = ClickHousePool(dsn, threads=2)
    blobs = MemoryBlobs()
    app = create_app(
        settings, pool=pool, keys=KeyRing(keys.file), blobs=blobs, publisher=publisher, clock=lambda: A_NOW
    )
    try:
        yield QueryService(dsn, pool, ClickHouseStore(pool), keys, blobs, app)
    finally:
        pool.close()
