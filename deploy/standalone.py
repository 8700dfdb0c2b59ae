"""The whole product in one process: three services, the SQLite log and chDB. For laptops, tests and small teams.

chDB locks its folder, so there is one process and it never forks. What one part raises ends all of it: a worker that
cannot go on must not leave an API behind that accepts for ever.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from litestar.types import ASGIApp

from deploy.addresses import url_from_here, url_of
from deploy.banner import Banner
from deploy.data_folder import DataFolder
from deploy.disk_space import DiskSpace, RoomyPublisher, watch_parts
from deploy.http_server import bind, serve
from deploy.rebuilding import Expected, rebuild_from_log
from deploy.retention import installation_of, words
from deploy.routes import standalone_app
from deploy.signals import stop_on_signals
from ingest_api.app import create_app as create_ingest_app
from ingest_api.settings import IngestSettings
from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Delivery, Source
from ledger.bus.sqlite_log import GENERATION, Retention, SqliteLog
from ledger.clock import system_clock
from ledger.doctor.bus import log_findings
from ledger.errors import BusUnavailable, Misconfigured
from ledger.keys import KeyRing, new_start_token
from ledger.prices.book import current_version
from ledger.retention import Installation
from ledger.settings import (
    BatchSection,
    BlobsSection,
    KeysSection,
    QueryCaps,
    RetentionSection,
    ServerSection,
    SqliteLogSection,
    StoreSection,
)
from ledger.store import StoreBroken
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.migrations import Migration, available, drive, migrate
from ledger.store.retention import read_policies
from query_api.app import create_app as create_query_app
from query_api.settings import QuerySettings
from workers.drivers.erasing import Eraser, run_erasing
from workers.drivers.mark_file import MarkFile
from workers.drivers.retaining import Retainer, run_retaining
from workers.drivers.sqlite_log import Guard, run_log_worker
from workers.killers import set_aside
from workers.pipeline import Deps, process
from workers.receipts import Receipt
from workers.retrying import RetryPolicy
from workers.vitals import Vitals
from workers.wiring import standalone_deps

PRUNE_EVERY_SECONDS = 60.0
DRAIN_SECONDS = 2
WORKER_DRAIN_SECONDS = 5.0  # a store that does not answer must not keep Ctrl-C waiting
ERASING_END_SECONDS = 1.0  # a rewriting that takes longer ends with the process, and is done again
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
    accept_dead_letters: int = 0  # so many pass without being taken for a fault of this program
    retention: RetentionSection = field(default_factory=RetentionSection)

    @property
    def installation(self) -> Installation:
        """What is kept where nothing else was set. The data folder has to be there."""
        return installation_of(self.retention, self.data.root)


Handle = Callable[[Sequence[Delivery]], Awaitable[Receipt]]


def _handling(deps: Deps) -> Handle:
    """How a batch of the log is stored."""
    return partial(process, deps)


@dataclass(frozen=True, slots=True)
class Making:
    """How the parts are made that carry the promises; each can be replaced by one of its own kind."""

    open_log: Callable[[Path], SqliteLog] = SqliteLog
    migrations: Callable[[], Sequence[Migration]] = available
    handling: Callable[[Deps], Handle] = _handling
    reading: Callable[[SqliteLog], Source] = lambda bus: bus
    rebuild: Callable[[SqliteLog, ClickHousePool, Expected], Awaitable[object]] = rebuild_from_log


async def run_standalone(options: StandaloneOptions, say: Callable[[str], None], making: Making | None = None) -> None:
    """Run until a signal. Raises what ended it otherwise; `Misconfigured` when it cannot start."""
    making = making or Making()
    started = time.monotonic()
    stop = asyncio.Event()
    stop_on_signals(stop)
    data = options.data
    data.make()
    bus = making.open_log(data.log)  # from here on the folder is ours
    try:
        data.withdraw()  # what a killed process has left there names an address that is anybody's now
        data.prepare()
        listener = bind(options.host, options.port, or_next=not options.port_is_given)
        async with _stores(data) as (writing, reading), _erasing_pool(data) as erasing:
            await _agree(bus, writing, making, options)
            first_key = data.first_key()
            token = new_start_token()
            space = DiskSpace(data.root)
            parts = _Parts(
                making, bus, space, writing, reading, erasing, KeyRing(data.keys, start_token=token), Vitals()
            )
            kept = await _kept(writing, options)
            banner = Banner(url_of(listener), data.root, first_key, options.port, time.monotonic() - started, kept)
            data.announce(url_from_here(listener), token)
            for line in banner.lines():
                say(line)
            await _run_parts(parts, options, listener, stop)
    finally:
        data.withdraw()
        await bus.close()


async def _agree(bus: SqliteLog, writing: ClickHousePool, making: Making, options: StandaloneOptions) -> None:
    """Bring the schema up to date, and log and store to one state. Raises `Misconfigured` when that cannot be."""
    try:
        await writing.run(lambda client: drive(migrate(making.migrations()), client))
        await bus.begin_after(await ClickHouseStore(writing).highest_offset(GENERATION))
        await making.rebuild(bus, writing, Expected(installation=options.installation))
    except StoreBroken as error:
        raise Misconfigured(
            f"The store in {options.data.store} cannot be read: {error} When a part of it is damaged, move the part's"
            " folder, which is named here, out of the store: what the log still holds of it is stored again at the next"
            " start."
            " Otherwise put a backup back."
        ) from error


async def _kept(store: ClickHousePool, options: StandaloneOptions) -> str:
    """How long calls are kept by default, in words."""
    installation = options.installation
    policies = await store.run(partial(read_policies, installation=installation))
    return words(policies.default_days, installation.max_bytes)


@dataclass(frozen=True, slots=True)
class _Parts:
    making: Making
    bus: SqliteLog
    space: DiskSpace
    writing: ClickHousePool
    reading: ClickHousePool
    erasing: ClickHousePool
    keys: KeyRing
    vitals: Vitals

    def app(self, options: "StandaloneOptions", stop: asyncio.Event) -> ASGIApp:
        data = options.data
        log_section, server = SqliteLogSection(data.log), ServerSection(options.host, options.port)
        ingest_settings = IngestSettings(bus=log_section, keys=KeysSection(data.keys), server=server)
        query_settings = QuerySettings(
            store=StoreSection(data.store_dsn),
            keys=KeysSection(data.keys),
            blobs=BlobsSection(data.blobs_url),
            server=server,
            caps=options.caps,
            installation=options.installation,
        )
        publisher = RoomyPublisher(self.bus, self.space)
        ingest = create_ingest_app(
            ingest_settings, publisher=publisher, keys=self.keys, price_version=current_version()
        )
        blobs = ObstoreBlobs(data.blobs_url)
        query = create_query_app(
            query_settings,
            pool=self.reading,
            keys=self.keys,
            blobs=blobs,
            publisher=publisher,
            look_at_bus=partial(log_findings, self.bus),
        )
        query.state.stopping = stop
        return standalone_app(ingest, query, self.health)

    def eraser(self, data: DataFolder) -> Eraser:
        """Erases what was deleted: the log has one partition, and this process owns it."""
        return Eraser(self.erasing, ObstoreBlobs(data.blobs_url), system_clock)

    def retainer(self, options: "StandaloneOptions") -> Retainer:
        """Deletes what is no longer kept. It takes turns with the eraser, whose pool it uses."""
        blobs = ObstoreBlobs(options.data.blobs_url)
        return Retainer(self.erasing, blobs, system_clock, options.installation)

    def health(self) -> Mapping[str, str]:
        """What the health page says."""
        return {"worker": "ok" if self.vitals.ready else "not reading", "disk": self.space.shortage() or "ok"}


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


@asynccontextmanager
async def _erasing_pool(data: DataFolder) -> AsyncIterator[ClickHousePool]:
    """One more for erasure: rewriting takes its time, and must keep neither an insert nor Ctrl-C waiting."""
    pool = ClickHousePool(data.store_dsn, threads=1, engine_config=data.engine_config)
    try:
        yield pool
    finally:
        pool.close_within(ERASING_END_SECONDS)


def _deps(parts: _Parts, options: StandaloneOptions) -> Deps:
    """What batches are stored with. Tokens are this start's own: what it reads again is written again."""
    deps = standalone_deps(parts.writing, options.data.blobs_url, system_clock)
    deps.store = ClickHouseStore(parts.writing, token_prefix=f"{uuid4().hex}-")
    deps.ceiling.accepted = options.accept_dead_letters
    deps.retry = RetryPolicy(before_wait=parts.vitals.waits.set)
    deps.on_prepared = parts.vitals.read.set
    deps.only_first = lambda: parts.vitals.on_trial
    deps.rows_at_once = options.batch.max_rows
    return deps


async def _run_parts(parts: _Parts, options: StandaloneOptions, listener: socket.socket, stop: asyncio.Event) -> None:
    """The API stops first, then the worker finishes what it has read; the log keeps the rest."""
    worker_stop = asyncio.Event()
    deps = _deps(parts, options)
    handle, source = parts.making.handling(deps), parts.making.reading(parts.bus)
    guard = Guard(MarkFile(options.data.mark), partial(set_aside, deps))
    reading = run_log_worker(source, options.batch, handle, stop=worker_stop, vitals=parts.vitals, guard=guard)
    worker = _ending(reading, stop, worker_stop)
    watching = {
        _ending(_prune(parts.bus), stop),
        _ending(watch_parts(parts.space, parts.reading), stop),
        _ending(run_erasing(parts.eraser(options.data), lambda: True, stop), stop),
        _ending(run_retaining(parts.retainer(options), lambda: True, stop), stop),
        _ending(parts.bus.until_broken(), stop, worker_stop),
    }
    try:
        await serve(parts.app(options, stop), listener, stop, drain_seconds=DRAIN_SECONDS)
    finally:
        worker_stop.set()
        for part in watching:
            part.cancel()
        await asyncio.wait({worker}, timeout=WORKER_DRAIN_SECONDS)
        worker.cancel()  # what it was still writing is read from the log again at the next start
        await asyncio.wait({worker, *watching})
    failures = [part.exception() for part in (worker, *watching) if not part.cancelled()]
    for failure in filter(None, failures):
        raise failure


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
        try:
            while await bus.prune(Retention()):
                pass
        except BusUnavailable as error:
            log.warning("The log could not be pruned; it is tried again.", extra={"error": str(error)})
