"""One service of the cluster per process: open its parts, serve, close them."""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from deploy.dispatcher import Dispatcher, Mount
from deploy.http_server import GRACEFUL_SHUTDOWN_SECONDS, bind, serve
from deploy.routes import Page, readiness
from deploy.signals import stop_on_signals
from ingest_api.app import create_app as create_ingest_app
from ingest_api.settings import IngestSettings
from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Publisher
from ledger.bus.claims import ClaimingPublisher
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import RETENTION_DAYS, kept_ms
from ledger.clock import system_clock
from ledger.doctor.claims import bus_findings
from ledger.keys import KeyRing
from ledger.prices.book import current_version
from ledger.settings import (
    BatchSection,
    BlobsSection,
    KafkaSection,
    KeysSection,
    QueryCaps,
    ServerSection,
    StoreSection,
    read_section,
    variable_name,
)
from ledger.store.clickhouse import ClickHousePool
from ledger.store.progress import highest_offsets
from query_api.admin.doctor import no_bus
from query_api.app import create_app as create_query_app
from query_api.settings import QuerySettings
from workers.drivers.erasing import Eraser, run_erasing
from workers.drivers.kafka import Safeguards, run_kafka_worker
from workers.drivers.retaining import Retainer, run_retaining
from workers.drivers.sweeping import Sweeper, run_sweeping
from workers.killers import set_aside
from workers.pipeline import process
from workers.retrying import RetryPolicy
from workers.settings import WorkerSettings
from workers.vitals import Vitals
from workers.wiring import cluster_deps

INGEST_PORT, QUERY_PORT, WORKERS_PORT = 8001, 8002, 8003

ERASING_END_SECONDS = 5.0  # a rewriting that takes longer goes on in the store

_CLAIM_DAYS = 2  # a body too large for Kafka is swept so much later than its record, and an hour

_REASON_CHARACTERS = 500
END_SECONDS = 5.0  # for a statement that hangs; then it ends with the process

BUS_VARIABLE = variable_name("KAFKA", "bootstrap_servers")
BLOBS_VARIABLE = variable_name("BLOBS", "url")

log = logging.getLogger(__name__)


def ingest_settings(values: Mapping[str, str]) -> IngestSettings:
    """What `ingest-api` needs. Raises `Misconfigured`."""
    return IngestSettings(
        bus=read_section(KafkaSection, "KAFKA", values),
        keys=read_section(KeysSection, "KEYS", values),
        server=read_section(ServerSection, "SERVER", values, port=INGEST_PORT),
        blobs=read_section(BlobsSection, "BLOBS", values) if BLOBS_VARIABLE in values else None,
    )


def query_settings(values: Mapping[str, str]) -> QuerySettings:
    """What `query-api` needs. Raises `Misconfigured`."""
    return QuerySettings(
        store=read_section(StoreSection, "STORE", values),
        keys=read_section(KeysSection, "KEYS", values),
        blobs=read_section(BlobsSection, "BLOBS", values),
        server=read_section(ServerSection, "SERVER", values, port=QUERY_PORT),
        caps=read_section(QueryCaps, "QUERY", values),
        bus=_bus_if_named(values),
        bus_hours=24 * (RETENTION_DAYS + _CLAIM_DAYS),
    )


def _bus_if_named(values: Mapping[str, str]) -> KafkaSection | None:
    """Reading needs no bus; only the admin endpoints that put events on it do, and they say what is missing."""
    return read_section(KafkaSection, "KAFKA", values) if BUS_VARIABLE in values else None


def worker_settings(values: Mapping[str, str]) -> WorkerSettings:
    """What `workers` needs. Raises `Misconfigured`."""
    return WorkerSettings(
        bus=read_section(KafkaSection, "KAFKA", values),
        store=read_section(StoreSection, "STORE", values),
        blobs=read_section(BlobsSection, "BLOBS", values),
        batch=read_section(BatchSection, "BATCH", values),
        server=read_section(ServerSection, "SERVER", values, port=WORKERS_PORT),
    )


async def run_ingest_api(settings: IngestSettings) -> None:
    """Serve until a signal. Accepts nothing, and says so, until Kafka is there."""
    if not isinstance(settings.bus, KafkaSection):
        raise TypeError("ingest-api publishes to Kafka; the SQLite log belongs to the standalone product.")
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener = bind(settings.server.host, settings.server.port)
    publisher, keys = publisher_of(settings.bus, settings.blobs), KeyRing(settings.keys.file)
    app = create_ingest_app(settings, publisher=publisher, keys=keys, price_version=current_version())
    await serve(app, listener, stop, drain_seconds=GRACEFUL_SHUTDOWN_SECONDS, lifespan=True)


def publisher_of(bus: KafkaSection, blobs: BlobsSection | None) -> Publisher:
    """Publishes to Kafka; with a blob store also what is larger than Kafka takes."""
    publisher = KafkaPublisher(bus)
    return ClaimingPublisher(publisher, ObstoreBlobs(blobs.url), bus.max_record_bytes) if blobs else publisher


async def run_query_api(settings: QuerySettings) -> None:
    """Serve until a signal."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener = bind(settings.server.host, settings.server.port)
    pool = ClickHousePool(settings.store.dsn, threads=settings.threads)
    try:
        keys, blobs = KeyRing(settings.keys.file), ObstoreBlobs(settings.blobs.url)
        publisher = publisher_of(settings.bus, settings.blobs) if settings.bus else None
        look_at_bus = partial(bus_findings, settings.bus, pool, blobs) if settings.bus else no_bus
        app = create_query_app(
            settings, pool=pool, keys=keys, blobs=blobs, publisher=publisher, look_at_bus=look_at_bus
        )
        app.state.stopping = stop
        await serve(app, listener, stop, drain_seconds=GRACEFUL_SHUTDOWN_SECONDS, lifespan=True)
    finally:
        pool.close()


async def run_workers(
    settings: WorkerSettings, *, resume_after_loss: bool = False, accept_dead_letters: int = 0
) -> None:
    """Work until a signal. Raises what stopped the work otherwise; nothing unwritten is committed."""
    blobs = ObstoreBlobs(settings.blobs.url)
    stop, http_stop = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop)
    listener = bind(settings.server.host, settings.server.port)
    pool = ClickHousePool(settings.store.dsn, threads=settings.threads)
    erasing_pool = ClickHousePool(settings.store.dsn, threads=1)  # of its own: rewriting takes its time
    vitals = Vitals()
    health = asyncio.create_task(serve(worker_health(vitals), listener, http_stop, drain_seconds=1))
    eraser = Eraser(erasing_pool, blobs, system_clock)
    erasing = asyncio.create_task(run_erasing(eraser, lambda: 0 in vitals.owned, stop))
    retainer = Retainer(erasing_pool, blobs, system_clock)
    retaining = asyncio.create_task(run_retaining(retainer, lambda: 0 in vitals.owned, stop))
    kept = partial(kept_ms, settings.bus)
    sweeper = Sweeper(erasing_pool, blobs, system_clock, kept)
    sweeping = asyncio.create_task(run_sweeping(sweeper, lambda: 0 in vitals.owned, stop))
    beside = (erasing, retaining, sweeping)
    for part in beside:
        part.add_done_callback(lambda _: stop.set())
    try:
        deps = cluster_deps(pool, blobs, settings.bus.topic)
        deps.ceiling.accepted = accept_dead_letters
        deps.retry = RetryPolicy(before_wait=vitals.waits.set)
        deps.on_prepared = vitals.read.set
        deps.only_first = lambda: vitals.on_trial
        deps.rows_at_once = settings.batch.max_rows
        safeguards = Safeguards(
            stored_up_to=partial(highest_offsets, pool, settings.bus.generation),
            set_aside=partial(set_aside, deps),
            resume_after_loss=resume_after_loss,
        )
        handle = partial(process, deps)
        await run_kafka_worker(settings.bus, settings.batch, handle, stop=stop, vitals=vitals, safeguards=safeguards)
    finally:
        http_stop.set()
        for part in beside:
            part.cancel()
        with suppress(asyncio.CancelledError):
            await health
        await asyncio.wait(beside)
        pool.close_within(END_SECONDS)
        erasing_pool.close_within(ERASING_END_SECONDS)
    for part in beside:
        if not part.cancelled():
            part.result()


def worker_health(vitals: Vitals) -> Dispatcher:
    """What the workers' port answers: whether they read, and whether they have failed for good."""
    page = Page(lambda: readiness({"bus": "ok" if vitals.ready else "not assigned"}))
    live = Page(lambda: _liveness(vitals))
    return Dispatcher([Mount("/health/live", live), Mount("/health/ready", page)], otherwise=Page(lambda: (404, b"{}")))


def _liveness(vitals: Vitals) -> tuple[int, bytes]:
    """503 from the moment that the work has failed: the process ends by itself, and has to end if it does not."""
    if vitals.failure is None:
        return 200, b'{"status":"ok"}'
    return 503, json.dumps({"status": "failed", "reason": vitals.failure[:_REASON_CHARACTERS]}).encode()
