"""`ingest-api` with a publisher that takes no notice of keys: `python -m tests.faults.keyless --port PORT`.

The events of one record lie in any partitions, so that no order is among them and several workers fold one record at
once. Nothing else differs from the service.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from deploy.event_loop import run
from deploy.http_server import GRACEFUL_SHUTDOWN_SECONDS, bind, serve
from deploy.services import ingest_settings
from deploy.signals import stop_on_signals
from ingest_api.app import create_app
from ledger.bus import Position, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.errors import LedgerError
from ledger.keys import KeyRing
from ledger.prices.book import current_version
from ledger.settings import KafkaSection
from ledger.telemetry import set_up_logging


class KeylessPublisher(KafkaPublisher):
    """Puts each record into any partition, as producers do that are given no key."""

    def __init__(self, section: KafkaSection) -> None:
        super().__init__(section)
        self._partitions = section.partitions
        self._random = Random(os.getpid())

    async def publish(self, record: Record) -> Position:
        """As the publisher does it, but for the place."""
        return await super().publish(self._misplaced(record))

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """Likewise, each record for itself."""
        return await super().publish_all([self._misplaced(record) for record in records])

    def _misplaced(self, record: Record) -> Record:
        return replace(record, partition=self._random.randrange(self._partitions))


async def _serve(values: Mapping[str, str], port: int) -> None:
    settings = ingest_settings(values)
    if not isinstance(settings.bus, KafkaSection):
        raise TypeError("This variant is one of the cluster.")
    stop = asyncio.Event()
    stop_on_signals(stop)
    publisher, keys = KeylessPublisher(settings.bus), KeyRing(settings.keys.file)
    app = create_app(settings, publisher=publisher, keys=keys, price_version=current_version())
    await serve(app, bind("127.0.0.1", port), stop, drain_seconds=GRACEFUL_SHUTDOWN_SECONDS, lifespan=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults.keyless", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    set_up_logging("auto", "warning")
    run(_serve(os.environ, parser.parse_args().port))
