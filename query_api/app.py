"""The wiring of the query service: the only place where it puts its parts together. Importing it does nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide

from ledger.blobs import BlobStore
from ledger.bus import Publisher
from ledger.clock import Clock, system_clock
from ledger.keys import KeyRing
from ledger.store.clickhouse import ClickHousePool
from query_api import openapi
from query_api.admin.bus import Bus
from query_api.admin.deletions.reporting import BusFacts
from query_api.admin.doctor import Doctor, LookAtBus, no_bus
from query_api.admin.door import admin_router
from query_api.admin.turns import Turns
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.controllers import StatisticsController
from query_api.auth import Doorkeeper
from query_api.errors import exception_handlers
from query_api.export.controller import ExportController
from query_api.export.places import Places
from query_api.hang_ups import HangUps
from query_api.health import Checks, HealthController
from query_api.media import MediaController
from query_api.readers import Readers
from query_api.reading import Reader
from query_api.request_logs import RequestLogController
from query_api.retention_book import RetentionBook
from query_api.settings import QuerySettings
from query_api.status import Progress, StatusController
from query_api.tail.controller import TailController, Tails


def create_app(
    settings: QuerySettings,
    *,
    pool: ClickHousePool,
    keys: KeyRing,
    blobs: BlobStore,
    publisher: Publisher | None = None,
    look_at_bus: LookAtBus = no_bus,
    clock: Clock = system_clock,
) -> Litestar:
    """The service over these parts. Its lifespan, where one is run, starts and closes the publisher; the rest stays.

    Whoever runs it puts an event in `app.state.stopping`: once that is set, who waits for a report is answered at once.
    """
    book = RetentionBook(pool.aside(), settings.installation, clock)
    door = Doorkeeper(keys, book)
    readers, bus = Readers(pool, settings.caps), Bus(publisher)
    checks = Checks(Reader(pool.aside(), settings.caps), keys, settings.readiness_seconds)
    progress = Progress(readers.of_service())
    tails = Tails(readers.of_service(), door, settings.tail, clock)
    export_places = Places()
    aggregates = Aggregates(clock)
    doctor, turns = Doctor(pool, settings.keys.file, look_at_bus, settings.installation, clock), Turns()
    facts = BusFacts(_partitions(settings, publisher), settings.bus_hours)
    return Litestar(
        [
            RequestLogController,
            TailController,
            ExportController,
            StatisticsController,
            MediaController,
            StatusController,
            HealthController,
            admin_router(door),
        ],
        middleware=[HangUps],
        lifespan=[_opening(publisher)],
        state=State({"stopping": asyncio.Event()}),
        dependencies={
            "reach": Provide(door.reach_now),
            "admin_reach": Provide(door.admin_reach, sync_to_thread=False),
            "caller": Provide(door.caller, sync_to_thread=False),
            "reader": Provide(readers.of_caller, sync_to_thread=False),
            "pool": Provide(lambda: pool, sync_to_thread=False),
            "bus_facts": Provide(lambda: facts, sync_to_thread=False),
            "keys": Provide(lambda: keys, sync_to_thread=False),
            "bus": Provide(lambda: bus, sync_to_thread=False),
            "blobs": Provide(lambda: blobs, sync_to_thread=False),
            "aggregates": Provide(lambda: aggregates, sync_to_thread=False),
            "clock": Provide(lambda: clock, sync_to_thread=False),
            "checks": Provide(lambda: checks, sync_to_thread=False),
            "progress": Provide(lambda: progress, sync_to_thread=False),
            "retention_book": Provide(lambda: book, sync_to_thread=False),
            "doctor": Provide(lambda: doctor, sync_to_thread=False),
            "export_places": Provide(lambda: export_places, sync_to_thread=False),
            "tails": Provide(lambda: tails, sync_to_thread=False),
            "turns": Provide(lambda: turns, sync_to_thread=False),
        },
        exception_handlers=exception_handlers(door.visitor),
        cors_config=CORSConfig(expose_headers=["ETag", "Retry-After"]),
        openapi_config=openapi.config(),
        logging_config=None,  # whoever runs the process sets logging up
    )


def _partitions(settings: QuerySettings, publisher: Publisher | None) -> int | None:
    """How many partitions the bus has, where that is known: a log in one file has one."""
    if settings.bus is not None:
        return settings.bus.partitions
    return None if publisher is None else 1


def _opening(publisher: Publisher | None) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def opened(_: Litestar) -> AsyncIterator[None]:
        if publisher:
            await publisher.start()
        try:
            yield
        finally:
            if publisher:
                await publisher.close()

    return opened
