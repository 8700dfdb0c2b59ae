"""The live tail over a real connection: a served query service, what happens on its bus, and readers of its events."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from msgspec.structs import replace

from deploy.http_server import bind, serve
from ledger.bus import Position
from ledger.clock import to_milliseconds
from ledger.ids import ProjectId
from ledger.keys import KeyRing
from ledger.request_log import Bodies, RequestLog
from ledger.settings import BlobsSection, KeysSection, QueryCaps, StoreSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from query_api.app import create_app
from query_api.settings import QuerySettings, TailCaps
from tests.support.builders import a_request_log, an_id
from tests.support.query_service import A_NOW, MemoryBlobs, TestKeys, keys_in

PATH = "/api/v1/requests/tail"
NOW_MS = to_milliseconds(A_NOW)
TABLES = ("request_logs", "request_bodies", "bus_progress")
QUICK = TailCaps(look_seconds=0.02, heartbeat_seconds=0.2, key_seconds=0.1)
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Told:
    """An event, as it was read."""

    name: str
    data: Any
    id: str | None


@dataclass(slots=True)
class Tail:
    """One open stream."""

    answer: httpx.Response
    _lines: AsyncIterator[bytes]
    last_id: str | None = None
    heartbeats: int = 0

    async def next(self) -> Told | None:
        """The next event with data, or None when the stream has ended. Fails when nothing comes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._next()

    async def take(self, count: int) -> list[Any]:
        """The data of the next so many calls; anything else but `ready` fails."""
        found: list[Any] = []
        while len(found) < count:
            event = await self.next()
            assert event is not None, f"the stream has ended after {len(found)} of {count}"
            assert event.name in ("ready", "request"), event
            found += [event.data] if event.name == "request" else []
        return found

    async def _next(self) -> Told | None:
        block: dict[bytes, bytes] = {}
        async for line in self._lines:
            name, _, value = line.partition(b": ")
            if line:
                block[name] = value
                continue
            self.last_id = block[b"id"].decode() if b"id" in block else self.last_id
            if b"data" in block:
                return Told(block[b"event"].decode(), json.loads(block[b"data"]), self.last_id)
            self.heartbeats += 1
            block = {}
        return None


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for part in answer.aiter_raw():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line


@dataclass(slots=True)
class Bus:
    """Puts calls where workers would put them, one position after the other."""

    store: ClickHouseStore
    offsets: dict[int, int] = field(default_factory=dict)
    made: int = 0

    async def call(self, partition: int = 0, **changes: Any) -> RequestLog:
        """A new call, written but not yet settled."""
        self.made += 1
        created_at = changes.pop("created_at", NOW_MS - 1000 + self.made)
        position = self._position(partition)
        times = {"created_at": created_at, "ingested_at": NOW_MS + self.made, **changes}
        log = a_request_log(id=an_id(created_at, self.made), position=position, **times)
        return await self.put(replace(log, version=_version(position, 1), updated_at=NOW_MS - 1000 + self.made))

    async def update(self, log: RequestLog, **changes: Any) -> RequestLog:
        """The same call after one more event."""
        self.made += 1
        position = self._position(log.position.partition)
        version, at = _version(position, (log.version & 0xFFFF) + 1), NOW_MS - 1000 + self.made
        return await self.put(replace(log, version=version, position=position, updated_at=at, **changes))

    async def put(self, *logs: RequestLog) -> RequestLog:
        """Write these rows as they are; the first of them."""
        token = f"{self.made}/{max(self.offsets.values(), default=0)}/{logs[0].version}"
        await self.store.insert_bodies(logs, token)
        await self.store.insert_rows(logs, token)
        return logs[0]

    async def settle(self) -> None:
        """Everything that was written can be read."""
        await self.store.insert_progress([Position(1, *place) for place in sorted(self.offsets.items())])

    def many(self, count: int, partition: int = 0) -> list[RequestLog]:
        """New calls, not written."""
        logs = []
        for _ in range(count):
            self.made += 1
            created_at, position = NOW_MS - 1_000_000 + self.made, self._position(partition)
            log = a_request_log(
                created_at=created_at, id=an_id(created_at, self.made), position=position, bodies=Bodies()
            )
            log = replace(log, ingested_at=created_at, updated_at=created_at)
            logs.append(replace(log, version=_version(position, 1)))
        return logs

    def _position(self, partition: int) -> Position:
        self.offsets[partition] = self.offsets.get(partition, -1) + 1
        return Position(1, partition, self.offsets[partition])


def _version(position: Position, events: int) -> int:
    return position.generation << 56 | position.offset << 16 | events


@dataclass(slots=True)
class Served:
    """A query service at an address."""

    url: str
    app: Litestar
    keys: TestKeys
    bus: Bus
    pool: ClickHousePool
    stop: asyncio.Event
    serving: "asyncio.Task[None]"
    ahead: list[timedelta]  # how far its clock is ahead

    @asynccontextmanager
    async def tail(
        self, query: Mapping[str, Any] | None = None, *, key: str | None = None, last_id: str | None = None
    ) -> AsyncIterator[Tail]:
        """An open stream, read up to `ready` and not further."""
        own = self._headers(key, last_id)
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS) as client,
            client.stream("GET", PATH, params=dict(query or {}), headers=own) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            tail = Tail(answer, _lines(answer))
            ready = await tail.next()
            assert ready is not None
            assert ready.name == "ready", ready
            yield tail

    async def ask(
        self, query: Mapping[str, Any] | None = None, *, key: str | None = None, last_id: str | None = None
    ) -> httpx.Response:
        """The whole answer of a stream that ends by itself, or the refusal."""
        own = self._headers(key, last_id)
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS) as client:
            return await client.get(PATH, params={"seconds": 0, **(query or {})}, headers=own)

    def _headers(self, key: str | None, last_id: str | None) -> dict[str, str]:
        resume = {} if last_id is None else {"Last-Event-ID": last_id}
        return {"Authorization": key or self.keys.shop, **resume}

    @property
    def port(self) -> int:
        """Where it listens, on this machine."""
        return int(self.url.rpartition(":")[2])

    async def run(self, statement: str) -> None:
        """Do this to the store."""
        await self.pool.run(lambda client: client.command(statement))

    async def until_open(self, count: int) -> None:
        """Return once so many tails are open."""
        tails = self.app.dependencies["tails"].dependency()  # type: ignore[union-attr]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while tails.seats.count != count:  # noqa: ASYNC110 (a seat tells nobody that it was left)
                await asyncio.sleep(0.01)


@contextmanager
def _pool(dsn: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(dsn, threads=2)
    try:
        yield pool
    finally:
        pool.close()


@asynccontextmanager
async def served(
    dsn: str, folder: Path, tail: TailCaps = QUICK, caps: QueryCaps | None = None, drain_seconds: int = 15
) -> AsyncIterator[Served]:
    """The service over the database at this DSN, whose tables are emptied first."""
    keys, stop, ahead = keys_in(folder), asyncio.Event(), [timedelta()]
    settings = QuerySettings(
        StoreSection(dsn), KeysSection(keys.file), BlobsSection("memory://"), caps=caps or QueryCaps(), tail=tail
    )
    ring = KeyRing(keys.file)

    def now() -> datetime:
        return A_NOW + ahead[0]

    with _pool(dsn) as pool:
        for table in TABLES:
            await pool.run(lambda client, t=table: client.command(f"TRUNCATE TABLE {t}"))  # type: ignore[misc]
        app = create_app(settings, pool=pool, keys=ring, blobs=MemoryBlobs(), clock=now)
        app.state.stopping = stop
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(serve(app, listener, stop, drain_seconds=drain_seconds))
        try:
            yield Served(url, app, keys, Bus(ClickHouseStore(pool)), pool, stop, serving, ahead)
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await serving


SHOP, BANK = ProjectId("shop"), ProjectId("bank")
