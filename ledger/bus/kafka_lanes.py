"""A lane carries the records of one partition: what its group commit hands it goes to the broker as one batch.

Every record gets exactly one outcome: its position, or an error that says whether it may be on the bus. A failed batch
fails its own records and nothing else; the lane lives on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka.errors import MessageSizeTooLargeError

from ledger.bus import Position, Record
from ledger.bus.group_commit import NOT_CONFIRMED, NOT_HANDED_OVER
from ledger.bus.kafka_records import WireHeaders, wire_headers
from ledger.errors import BusUnavailable, TooLarge, TooLargeForBus
from ledger.failpoints import failpoint

Outcome = Position | Exception


class Batch(Protocol):
    """What a producer collects before it sends."""

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: WireHeaders) -> object | None:
        """Take one more record, or return None when the batch is full."""


class Stored(Protocol):
    """What a broker says of a stored batch: the offset of its first record."""

    @property
    def offset(self) -> int: ...


class BatchProducer(Protocol):
    """The part of a producer that a lane needs."""

    def create_batch(self) -> Batch: ...

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Stored]:
        """Hand the batch over; what is returned is done when the broker has answered for it."""


class Stalled(Exception):
    """The broker has not answered for a batch in a long time: the producer is stuck."""


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What the lanes of one topic have in common."""

    topic: str
    generation: int
    batch_bytes: int
    deadline_seconds: float  # the longest that anybody waits for an answer
    stall_seconds: float  # a batch in flight for longer means that the producer is stuck


class Lane:
    """The way of one partition's records to the broker; one batch at a time."""

    def __init__(
        self, plan: LanePlan, partition: int, producer: BatchProducer, on_failure: Callable[[Exception], None]
    ) -> None:
        self._plan = plan
        self._partition = partition
        self._producer = producer
        self._on_failure = on_failure  # called for every failed batch: the producer may have to be replaced

    async def commit(self, records: Sequence[Record]) -> list[Outcome]:
        """Their positions once all are durable. Raises `BusUnavailable` or `TooLarge` for the batch as a whole."""
        batch = self._producer.create_batch()
        refused = _fill(batch, records)
        count = len(records) - len(refused)
        if not count:
            return list(refused.values())
        first = await self._stored(batch, count)
        generation, partition = self._plan.generation, self._partition
        outcomes: list[Outcome] = [Position(generation, partition, first + at) for at in range(count)]
        for at, error in refused.items():
            outcomes.insert(at, error)
        return outcomes

    async def _stored(self, batch: Batch, count: int) -> int:
        """The offset of the batch's first record, once the broker has it."""
        handed_over = False
        watch = asyncio.get_running_loop().call_later(self._plan.stall_seconds, self._on_failure, Stalled())
        try:
            delivery = await self._producer.send_batch(batch, self._plan.topic, partition=self._partition)
            handed_over = True
            failpoint("A2")
            first = (await delivery).offset
        except MessageSizeTooLargeError as error:
            self._on_failure(error)
            raise _too_large(count) from error
        except Exception as error:
            self._on_failure(error)
            raise BusUnavailable(NOT_CONFIRMED if handed_over else NOT_HANDED_OVER) from error
        finally:
            watch.cancel()
        if first < 0:  # the broker has the batch already, from an earlier try, and no longer knows where
            raise BusUnavailable(NOT_CONFIRMED)
        return first


def _fill(batch: Batch, records: Sequence[Record]) -> dict[int, Exception]:
    """Put the records into the batch; the places of those that it did not take, and why."""
    refused: dict[int, Exception] = {}
    for at, record in enumerate(records):
        try:
            taken = batch.append(timestamp=None, key=record.key, value=record.body, headers=wire_headers(record))
        except Exception as error:  # noqa: BLE001 (a record that cannot be encoded harms nobody else)
            refused[at] = error
        else:
            if taken is None:  # full; the group commit hands over no more than fits
                refused[at] = BusUnavailable(NOT_HANDED_OVER)
    return refused


def _too_large(count: int) -> TooLarge | BusUnavailable:
    """The broker took nothing of the batch. A batch of one is its record's own fault; of several, nobody's."""
    return TooLargeForBus() if count == 1 else BusUnavailable(NOT_HANDED_OVER)
