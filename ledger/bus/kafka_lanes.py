"""A lane carries the records of one partition: while one batch is in flight, the next one fills (group commit).

Every record that enters a lane gets exactly one answer: its position, or an error that says whether it may be on the
bus. A failed batch fails its own records and nothing else; the lane lives on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiokafka.errors import MessageSizeTooLargeError

from ledger.bus import Position, Record
from ledger.bus.kafka_records import WireHeaders, wire_headers
from ledger.errors import BusUnavailable, TooLarge
from ledger.failpoints import failpoint

NOT_HANDED_OVER = "Not handed over, retry."  # the record is surely not on the bus
NOT_CONFIRMED = "Not confirmed, retry."  # the record may be on the bus, now or later

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What the lanes of one topic have in common."""

    topic: str
    generation: int
    deadline_seconds: float  # the longest that anybody waits for an answer
    stall_seconds: float  # a batch in flight for longer means that the producer is stuck


@dataclass(slots=True, eq=False)
class _Entry:
    record: Record
    size: int
    outcome: asyncio.Future[Position]

    def succeed(self, position: Position) -> None:
        if not self.outcome.done():  # otherwise its deadline has passed or its sender went away
            self.outcome.set_result(position)

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class Lane:
    """The way of one partition's records to the broker, in the order in which they came."""

    def __init__(
        self, plan: LanePlan, partition: int, producer: BatchProducer, on_failure: Callable[[Exception], None]
    ) -> None:
        self._plan = plan
        self._partition = partition
        self._producer = producer
        self._on_failure = on_failure  # called for every failed batch: the producer may have to be replaced
        self._waiting: dict[int, _Entry] = {}  # by age
        self._in_flight: list[_Entry] = []
        self._handed_over = False  # whether the batch in flight has reached the producer
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.held_bytes = 0  # of all records whose fate is unknown, also of those whose senders were answered

    async def put(self, record: Record, size: int) -> Position:
        """Return the record's place. Raises `BusUnavailable` at the deadline, `TooLarge` when the broker says so."""
        loop = asyncio.get_running_loop()
        entry = _Entry(record, size, loop.create_future())
        timer = loop.call_later(self._plan.deadline_seconds, self._give_up_on, entry)
        self._waiting[id(entry)] = entry
        self.held_bytes += size
        self._idle.clear()
        self._filled.set()
        try:
            return await entry.outcome
        finally:
            timer.cancel()
            self._withdraw(entry)

    async def run(self) -> None:
        """Send batch after batch until cancelled; then everybody who still waits is answered."""
        try:
            while True:
                await self._filled.wait()
                await self._send_one_batch()
        finally:
            for entry in list(self._waiting.values()):
                self._withdraw(entry)
                entry.fail(BusUnavailable(NOT_HANDED_OVER))

    async def until_idle(self) -> None:
        """Return once nothing waits and nothing is in flight."""
        await self._idle.wait()

    async def _send_one_batch(self) -> None:
        try:
            batch = self._producer.create_batch()
            self._fill(batch)
            if self._in_flight:
                self._confirm(await self._stored(batch))
        except asyncio.CancelledError:
            self._refuse(NOT_CONFIRMED if self._handed_over else NOT_HANDED_OVER)
            raise
        except MessageSizeTooLargeError as error:
            self._refuse_as_too_large()
            self._on_failure(error)
        except Exception as error:  # noqa: BLE001 (whatever the driver raises is the answer for this batch)
            self._refuse(NOT_CONFIRMED if self._handed_over else NOT_HANDED_OVER)
            self._on_failure(error)
        finally:
            self.held_bytes -= sum(entry.size for entry in self._in_flight)
            self._in_flight = []
            self._handed_over = False
            self._rest_when_empty()

    async def _stored(self, batch: Batch) -> int:
        """The offset of the batch's first record, once the broker has it."""
        async with asyncio.timeout(self._plan.stall_seconds):
            delivery = await self._producer.send_batch(batch, self._plan.topic, partition=self._partition)
            self._handed_over = True
            failpoint("A2")
            return (await delivery).offset

    def _fill(self, batch: Batch) -> None:
        while self._waiting:
            entry = next(iter(self._waiting.values()))
            try:
                if not entry.outcome.done() and not self._append(batch, entry):
                    return  # full: it is the first of the next batch
            except Exception as error:  # noqa: BLE001 (a record that cannot be encoded harms nobody else)
                entry.fail(error)
            self._withdraw(entry)

    def _append(self, batch: Batch, entry: _Entry) -> bool:
        record = entry.record
        if batch.append(timestamp=None, key=record.key, value=record.body, headers=wire_headers(record)) is None:
            return False
        self._in_flight.append(entry)
        self.held_bytes += entry.size  # before it leaves those who wait
        return True

    def _confirm(self, first_offset: int) -> None:
        if first_offset < 0:  # the broker has the batch already, from an earlier try, and no longer knows where
            self._refuse(NOT_CONFIRMED)
            return
        for offset, entry in enumerate(self._in_flight, first_offset):
            entry.succeed(Position(self._plan.generation, self._partition, offset))

    def _refuse(self, reason: str) -> None:
        for entry in self._in_flight:
            entry.fail(BusUnavailable(reason))

    def _refuse_as_too_large(self) -> None:
        """The broker took nothing of the batch. A batch of one is its record's own fault; of several, nobody's."""
        if len(self._in_flight) == 1:
            self._in_flight[0].fail(TooLarge("The record is larger than the bus takes."))
        else:
            self._refuse(NOT_HANDED_OVER)

    def _give_up_on(self, entry: _Entry) -> None:
        entry.fail(BusUnavailable(NOT_HANDED_OVER if self._withdraw(entry) else NOT_CONFIRMED))

    def _withdraw(self, entry: _Entry) -> bool:
        """Take the entry from those who wait, and say whether it was there."""
        if self._waiting.pop(id(entry), None) is None:
            return False
        self.held_bytes -= entry.size
        self._rest_when_empty()
        return True

    def _rest_when_empty(self) -> None:
        if not self._waiting and not self._in_flight:
            self._filled.clear()
            self._idle.set()
