"""What the contract of publishers needs of a bus under test, and how to publish to one that is still connecting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ledger.bus import Delivery, Position, Publisher, Record
from ledger.errors import BusUnavailable

_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class PublishingBus:
    """A publisher that was started, and the world around it."""

    publisher: Publisher
    read: Callable[[], Awaitable[list[Delivery]]]  # everything on the bus, in order within each partition
    go_away: Callable[[], Awaitable[None]] | None = None  # None where a bus cannot be away
    come_back: Callable[[], Awaitable[None]] | None = None


async def accepted(publisher: Publisher, record: Record) -> Position:
    """Publish as a patient client does: again after every `BusUnavailable`."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                return await publisher.publish(record)
            except BusUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
