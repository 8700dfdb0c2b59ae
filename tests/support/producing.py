"""A producer for lanes, by construction: it stores, refuses or keeps silent as the test says."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

from ledger.bus.kafka_lanes import Batch
from ledger.bus.kafka_records import WireHeaders


@dataclass(frozen=True, slots=True)
class StoredBatch:
    offset: int


@dataclass(slots=True)
class FakeBatch:
    """Takes up to `room` records."""

    room: int
    bodies: list[bytes] = field(default_factory=list)

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: WireHeaders) -> object | None:
        if value == b"cannot be encoded":
            raise TypeError(value)
        if len(self.bodies) == self.room:
            return None
        self.bodies.append(value)
        return self


@dataclass(slots=True)
class FakeProducer:
    """Remembers what it was handed. While `holding`, the answers are the test's to give."""

    room: int = 1000
    holding: bool = False
    refusal: Exception | None = None  # raised instead of taking the next batch over
    answer: Exception | None = None  # the broker's answer to every batch
    batches: list[list[bytes]] = field(default_factory=list)
    deliveries: list[asyncio.Future[StoredBatch]] = field(default_factory=list)
    handed: asyncio.Event = field(default_factory=asyncio.Event)

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.room)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[StoredBatch]:
        assert isinstance(batch, FakeBatch)
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        delivery: asyncio.Future[StoredBatch] = asyncio.get_running_loop().create_future()
        first = sum(len(earlier) for earlier in self.batches)
        self.batches.append(batch.bodies)
        self.deliveries.append(delivery)
        if self.answer is not None:
            delivery.set_exception(self.answer)
        elif not self.holding:
            delivery.set_result(StoredBatch(first))
        self.handed.set()
        return delivery
