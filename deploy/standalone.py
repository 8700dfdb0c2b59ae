"""The whole product in one process: three services, the SQLite log and chDB. For laptops, tests and small teams.

chDB locks its folder, so there is one process and it never forks. What one part raises ends all of it: a worker that
cannot go on must not leave an API behind that accepts for ever.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from litestar.types import ASGIApp

from deploy.banner import Banner
from deploy.data_folder import DataFolder
from deploy.http_server import bind, serve
from deploy.routes import standalone_app
from deploy.signals import stop_on_signals
from ingest_api.app import create_app as create_ingest_app
from ingest_api.settings import IngestSettings
from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus.sqlite_log import GENERATION, Retention, SqliteLog
from ledger.clock import system_clock
from ledger.keys import KeyRing
from ledger.prices.book import current_version
from ledger.settings import (
    BatchSection,
    BlobsSection,
    KeysSection,
    QueryCaps,
    ServerSection,
    SqliteLogSection,
    StoreSection,
)
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.migrations import available, drive, migrate
from query_api.app import create_app as create_query_app
from query_api.settings import QuerySettings
from workers.drivers.sqlite_log import run_log_worker
from workers.pipeline import process
from workers.vitals import Vitals
from workers.wiring import standalone_deps

PRUNE_EVERY_SECONDS = 60.0
DRAIN_SECONDS = 2
WORKER_DRAIN_SECONDS = 5.0  # a store that does not answer must not keep Ctrl-C waiting
WRITING_THREADS = 1
READING_THREADS = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StandaloneOptions:
    """What the command line says."""

    data: DataFolder
    host: str
    port: int
    port_is_given: bool
    batch: BatchSection
    caps: QueryCaps


async def run_standalone(options: StandaloneOptions, say: Callable[[str], None]) -> None:
    """Run until a signal. Raises what ended it otherwise; `Misconfigured` when it cannot start."""
    started = time.monotonic()
    stop = asyncio.Event()
    stop_on_signals(stop)
    data = options.data
    data.make()
    bus = SqliteLog(data.log)  # from here on the folder is ours
    try:
        data.prepare()
        listener = bind(options.host, options.port, or_next=not options.port_is_given)
        async with _stores(data) as (writing, reading):
            await writing.run(lambda client: drive(migrate(available()), client))
            await bus.begin_after(await ClickHouseStore(writing).highest_offset(GENERATION))
            first_key = data.first_key()
            parts = _Parts(bus, writing, reading, KeyRing(data.keys), Vitals())
            banner = Banner(_url(listener), data.root, first_key, options.port, time.monotonic() - started)
            data.announce(banner.url)
            for line in banner.lines():
                say(line)
            await _run_parts(parts, options, listener, stop)
    finally:
        await bus.close()
        data.withdraw()


@dataclass(frozen=True, slots=True)
class _Parts:
    bus: SqliteLog
    writing: ClickHousePool
    reading: ClickHousePool
    keys: KeyRing
    vitals: Vitals

    def app(self, options: "StandaloneOptions") -> ASGIApp:
        data = options.data
        log_section, server = SqliteLogSection(data.log), ServerSection(options.host, options.port)
        ingest_settings = IngestSettings(bus=log_section, keys=KeysSection(data.keys), server=server)
        query_settings = QuerySettings(
            store=StoreSection(data.store_dsn),
            keys=KeysSection(data.keys),
            blobs=BlobsSection(data.blobs_url),
            server=server,
            caps=options.caps,
        )
        ingest = create_ingest_app(ingest_settings, publisher=self.bus, keys=self.keys, price_version=current_version())
        query = create_query_app(query_settings, pool=self.reading, keys=self.keys, blobs=ObstoreBlobs(data.blobs_url))
        return standalone_app(ingest, query, lambda: {"worker": "ok" if self.vitals.ready else "not reading"})


@asynccontextmanager
async def _stores(data: DataFolder) -> AsyncIterator[tuple[ClickHousePool, ClickHousePool]]:
    """One pool for the worker, one for queries: a heavy query never keeps an insert waiting for its turn."""
    writing = ClickHousePool(data.store_dsn, threads=WRITING_THREADS, engine_config=data.engine_config)
    reading = ClickHousePool(data.store_dsn, threads=READING_THREADS, engine_config=data.engine_config)
    try:
        yield writing, reading
    finally:
        reading.close()
        writing.close()


async def _run_parts(parts: _Parts, options: StandaloneOptions, listener: socket.socket, stop: asyncio.Event) -> None:
    """The API stops first, then the worker finishes what it has read; the log keeps the rest."""
    worker_stop = asyncio.Event()
    deps = standalone_deps(parts.writing, options.data.blobs_url, system_clock)
    handle = partial(process, deps)
    worker = _ending(
        run_log_worker(parts.bus, options.batch, handle, stop=worker_stop, vitals=parts.vitals), stop, worker_stop
    )
    pruning = _ending(_prune(parts.bus), stop)
    try:
        await serve(parts.app(options), listener, stop, drain_seconds=DRAIN_SECONDS)
    finally:
        worker_stop.set()
        pruning.cancel()
        await asyncio.wait({worker}, timeout=WORKER_DRAIN_SECONDS)
        worker.cancel()  # what it was still writing is read from the log again at the next start
        await asyncio.wait({worker, pruning})
    for part in (worker, pruning):
        if not part.cancelled():
            part.result()


def _ending(work: Coroutine[Any, Any, None], *events: asyncio.Event) -> asyncio.Task[None]:
    """The work as a task that sets the events when it ends, however it ends."""
    task = asyncio.create_task(work)

    def ended(_: asyncio.Task[None]) -> None:
        for event in events:
            event.set()

    task.add_done_callback(ended)
    return task


async def _prune(bus: SqliteLog) -> None:
    while True:
        await asyncio.sleep(PRUNE_EVERY_SECONDS)
        while await bus.prune(Retention()):
            pass


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
