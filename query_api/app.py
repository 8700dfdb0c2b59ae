"""The wiring of the query service: the only place where it puts its parts together. Importing it does nothing."""

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide

from ledger.blobs import BlobStore
from ledger.clock import Clock, system_clock
from ledger.keys import KeyRing
from ledger.store.clickhouse import ClickHousePool
from query_api import openapi
from query_api.auth import Doorkeeper
from query_api.errors import exception_handlers
from query_api.health import Checks, HealthController
from query_api.media import MediaController
from query_api.reading import Reader
from query_api.request_logs import RequestLogController
from query_api.settings import QuerySettings
from query_api.status import Progress, StatusController


def create_app(
    settings: QuerySettings,
    *,
    pool: ClickHousePool,
    keys: KeyRing,
    blobs: BlobStore,
    clock: Clock = system_clock,
) -> Litestar:
    """The service over these parts. It opens and closes none of them."""
    door = Doorkeeper(keys)
    reader = Reader(pool, settings.caps)
    checks, progress = Checks(reader, keys, settings.readiness_seconds), Progress(reader)
    return Litestar(
        [RequestLogController, MediaController, StatusController, HealthController],
        dependencies={
            "reach": Provide(door.reach, sync_to_thread=False),
            "caller": Provide(door.caller, sync_to_thread=False),
            "reader": Provide(lambda: reader, sync_to_thread=False),
            "blobs": Provide(lambda: blobs, sync_to_thread=False),
            "clock": Provide(lambda: clock, sync_to_thread=False),
            "checks": Provide(lambda: checks, sync_to_thread=False),
            "progress": Provide(lambda: progress, sync_to_thread=False),
        },
        exception_handlers=exception_handlers(door.reach),
        cors_config=CORSConfig(expose_headers=["ETag", "Retry-After"]),
        openapi_config=openapi.config(),
        logging_config=None,  # whoever runs the process sets logging up
    )
