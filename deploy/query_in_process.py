"""The query service without a socket: opened over a store, asked, closed again. For commands while nothing runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from deploy.commands.context import Failed
from deploy.data_folder import DataFolder
from deploy.retention import installation_of
from deploy.services import query_settings
from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Position, Record
from ledger.bus.claims import ClaimingPublisher
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.sqlite_log import GENERATION, SqliteLog
from ledger.doctor.bus import log_findings
from ledger.doctor.claims import bus_findings
from ledger.errors import BusUnavailable, LedgerError
from ledger.keys import KeyRing, new_start_token
from ledger.settings import (
    BlobsSection,
    KafkaSection,
    KeysSection,
    QueryCaps,
    RetentionSection,
    StoreSection,
    read_section,
)
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.migrations import available, drive, migrate
from query_api.admin.doctor import no_bus
from query_api.app import create_app
from query_api.settings import QuerySettings

CONNECT_SECONDS = 15.0

Answered = Callable[[str, str, Mapping[str, Any] | None, object], httpx.Response]
"""Method, path, parameters and JSON body → the answer."""

_Opened = AbstractAsyncContextManager[httpx.AsyncClient]


@contextmanager
def over_cluster(given: Mapping[str, str]) -> Iterator[Answered]:
    """The service over the cluster's store, and over Kafka where it is named. Raises `Failed`."""
    with _asked(lambda: _cluster(given)) as answered:
        yield answered


@contextmanager
def over_folder(folder: DataFolder, given: Mapping[str, str]) -> Iterator[Answered]:
    """The service over a data folder that is nobody's now, and this process's until the end. Raises `Failed`."""
    with _asked(lambda: _folder(folder, given)) as answered:
        yield answered


@contextmanager
def _asked(opened: Callable[[], _Opened]) -> Iterator[Answered]:
    """One event loop for opening, asking and closing."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            client = runner.run(stack.enter_async_context(opened()))
        except LedgerError as error:
            raise Failed(str(error)) from error

        def answered(method: str, path: str, params: Mapping[str, Any] | None, body: object) -> httpx.Response:
            return runner.run(client.request(method, path, params=params, json=body))

        try:
            yield answered
        finally:
            runner.run(stack.aclose())


@asynccontextmanager
async def _cluster(given: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    settings, token = query_settings(given), new_start_token()
    blobs = ObstoreBlobs(settings.blobs.url)
    bus = settings.bus
    publisher = ClaimingPublisher(_OnDemand(bus), blobs, bus.max_record_bytes) if bus else None
    pool = ClickHousePool(settings.store.dsn, threads=1)
    try:
        app = create_app(
            settings,
            pool=pool,
            keys=KeyRing(settings.keys.file, start_token=token),
            blobs=blobs,
            publisher=publisher,
            look_at_bus=partial(bus_findings, bus, pool, blobs) if bus else no_bus,
        )
        async with _client_of(app, token) as client:
            yield client
    finally:
        if publisher:
            await publisher.close()
        pool.close()


@asynccontextmanager
async def _folder(folder: DataFolder, given: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    token = new_start_token()
    settings = QuerySettings(
        store=StoreSection(folder.store_dsn),
        keys=KeysSection(folder.keys),
        blobs=BlobsSection(folder.blobs_url),
        caps=read_section(QueryCaps, "QUERY", given),
        installation=installation_of(read_section(RetentionSection, "RETENTION", given), folder.root),
    )
    bus = SqliteLog(folder.log)  # from here on the folder is ours
    try:
        folder.withdraw()  # what a killed process has left there names an address that is anybody's now
        folder.prepare()
        pool = ClickHousePool(folder.store_dsn, threads=1, engine_config=folder.engine_config)
        try:
            await pool.run(lambda client: drive(migrate(available()), client))
            await bus.begin_after(await ClickHouseStore(pool).highest_offset(GENERATION))
            keys, blobs = KeyRing(folder.keys, start_token=token), ObstoreBlobs(folder.blobs_url)
            app = create_app(
                settings, pool=pool, keys=keys, blobs=blobs, publisher=bus, look_at_bus=partial(log_findings, bus)
            )
            async with _client_of(app, token) as client:
                yield client
        finally:
            pool.close()
    finally:
        await bus.close()


def _client_of(app: Any, token: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://llmledger", headers=headers)


@dataclass(slots=True)
class _OnDemand:
    """Connects to Kafka at the first record, and waits until it is connected."""

    section: KafkaSection
    _publisher: KafkaPublisher | None = field(default=None, init=False)

    async def start(self) -> None:
        """Nothing before there is something to publish."""

    async def publish(self, record: Record) -> Position:
        """As the role says; raises `BusUnavailable` when Kafka could not be reached."""
        return await (await self._connected()).publish(record)

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """Likewise, several at once."""
        return await (await self._connected()).publish_all(records)

    async def broadcast(self, record: Record) -> list[Position]:
        """Likewise, to every partition."""
        return await (await self._connected()).broadcast(record)

    async def _connected(self) -> KafkaPublisher:
        publisher = self._publisher
        if publisher is None:
            publisher = self._publisher = KafkaPublisher(self.section)
            await publisher.start()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while not publisher.connected:  # noqa: ASYNC110 (the publisher tells nobody when it is connected)
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise BusUnavailable(f"Kafka does not answer at {self.section.bootstrap_servers}.") from error
        return publisher

    async def close(self) -> None:
        """Let go of Kafka, if it was reached."""
        if self._publisher:
            await self._publisher.close()
