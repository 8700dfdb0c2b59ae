"""The wiring of this service: HTTP in, bus out. Importing does nothing; `create_app` chooses every part."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from litestar import Litestar
from litestar.config.cors import CORSConfig

from ingest_api.answering import CrossOrigin
from ingest_api.batches.endpoint import BatchEndpoint
from ingest_api.bodies import BodyReader, ByteBudget
from ingest_api.documentation import openapi_config
from ingest_api.errors import error_handler
from ingest_api.health import BusHealth, health_handlers
from ingest_api.intake import Intake
from ingest_api.log_entries import LogEntryEndpoints
from ingest_api.openpipe import OpenPipeEndpoints
from ingest_api.pezzo import PezzoEndpoints
from ingest_api.settings import IngestSettings
from ledger.bus import Publisher
from ledger.clock import Clock, system_clock
from ledger.keys import KeyRing

EXPOSED_HEADERS = ["LLMLedger-Log-Id", "LLMLedger-Position", "Retry-After"]


def create_app(
    settings: IngestSettings,
    *,
    publisher: Publisher,
    keys: KeyRing,
    price_version: str,
    clock: Clock = system_clock,
) -> Litestar:
    """The service as an ASGI app. Its lifespan starts the publisher and closes it."""
    bus_health = BusHealth(settings.unready_after_seconds, time.monotonic)
    intake = Intake(publisher, keys, price_version, clock, bus_health)
    reader = BodyReader(settings, ByteBudget(settings.max_buffered_bytes))

    @asynccontextmanager
    async def opened(_: Litestar) -> AsyncIterator[None]:
        await publisher.start()
        bus_health.started = True
        try:
            yield
        finally:
            bus_health.started = False
            await publisher.close()

    app = Litestar(
        [
            *OpenPipeEndpoints(intake, reader).handlers(),
            *PezzoEndpoints(intake, reader).handlers(),
            *LogEntryEndpoints(intake, reader).handlers(),
            *BatchEndpoint.of(intake, reader).handlers(),
            *health_handlers(bus_health, price_version),
        ],
        lifespan=[opened],
        exception_handlers={Exception: error_handler(keys)},
        cors_config=CORSConfig(allow_origins=["*"], expose_headers=EXPOSED_HEADERS),
        openapi_config=openapi_config(version("llmledger")),
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = CrossOrigin(app.asgi_handler)
    return app
