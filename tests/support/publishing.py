"""What the contract of publishers needs of a bus under test, and how to publish to one that is still connecting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.bus import Delivery, Position, Publisher, Record
from ledger.errors import BusUnavailable

T = TypeVar("T")

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
    return await _patiently(lambda: publisher.publish(record))


async def accepted_by_all(publisher: Publisher, record: Record) -> list[Position]:
    """The same for a broadcast; the partitions that took an earlier attempt have the record twice."""
    return await _patiently(lambda: publisher.broadcast(record))


async def _patiently(action: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                return await action()
            except BusUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
