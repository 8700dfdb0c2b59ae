"""A worker's share of the topic: what it owns, what is buffered, what is being stored, what is committed.

Progress has one way only: a chunk is taken from the buffer, `handle` returns its receipt, the receipt is committed.
Whatever was read under an earlier assignment of partitions (an epoch) is dropped, since it will be read again; a chunk
that was being stored when its epoch ended is not committed. One chunk is under way at a time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery
from ledger.clock import Clock, system_clock
from ledger.failpoints import failpoint
from ledger.settings import BatchSection
from workers.batching import BatchBuffer
from workers.receipts import Receipt
from workers.vitals import Vitals
from workers.writing import NoLongerOurs

Handle = Callable[[Sequence[Delivery], Callable[[], bool]], Awaitable[Receipt]]
"""Stores a chunk. The second argument says whether the chunk's partitions are still this worker's."""

_BATCHES_HELD = 2  # reading pauses when this many full batches are buffered or being stored

log = logging.getLogger(__name__)


class GroupConsumer(Protocol):
    """The part of a consumer that advances, holds back and knows how far others are."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def committed(self, partition: TopicPartition) -> int | None: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """How the intake of one topic behaves."""

    topic: str
    batch: BatchSection
    revoke_seconds: float = 55.0  # for finishing before the partitions go; below the group's rebalance timeout
    commit_seconds: float = 10.0


class Intake:
    """Between the consumer, which is attached and calls the rest, and `handle`, which `run` calls."""

    def __init__(self, plan: IntakePlan, handle: Handle, vitals: Vitals, clock: Clock = system_clock) -> None:
        self._plan = plan
        self._handle = handle
        self._vitals = vitals
        self._clock = clock
        self._buffer: BatchBuffer[Delivery] = BatchBuffer(plan.batch, time.monotonic)
        self._under_way_bytes: int | None = None  # of the chunk that is being stored
        self.consumer: GroupConsumer | None = None
        self._owned: frozenset[int] = frozenset()
        self._epoch = 0
        self._taking = False
        self._draining = False
        self._paused = False
        self._changed = asyncio.Event()
        self._at_rest = asyncio.Event()  # nothing buffered, nothing under way
        self._at_rest.set()
        self.read_in: int | None = None  # the epoch of what is taken next; set by the consumer when it reads
        self.failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    @property
    def epoch(self) -> int | None:
        """The current assignment; None when what is read now is not to be stored."""
        return self._epoch if self._taking else None

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """The partitions that are this worker's at this moment."""
        return self._named(self._owned)

    def fail(self, error: Exception) -> None:
        """Nothing is taken or committed from here on; `failure` tells whoever waits for it."""
        self._taking = False
        self._changed.set()
        if not self.failure.done():
            self.failure.set_result(error)

    def attach(self, consumer: GroupConsumer) -> None:
        """Commit, pause and resume through this consumer."""
        self.consumer = consumer

    def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions, and no others, are read from their committed offsets from here on."""
        self._fence()
        self._owned = frozenset(partitions)
        self._taking = not self.failure.done()
        self._draining = False
        log.info("Partitions assigned.", extra={"topic": self._plan.topic, "partitions": sorted(self._owned)})

    async def revoked(self) -> None:
        """Store and commit what was read, as far as there is time; then nothing is this worker's any more."""
        failpoint("B6")
        try:
            async with asyncio.timeout(self._plan.revoke_seconds):
                await self.drain()
        except TimeoutError:
            log.warning("Partitions went before what was read from them was stored. It is read again elsewhere.")
        self._fence()

    async def drain(self) -> None:
        """Take nothing more, and return once everything taken is stored and committed, or has failed."""
        self._taking = False
        self._draining = True
        self._changed.set()
        await self._at_rest.wait()

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Buffer what was read, unless its epoch has ended since."""
        if self.read_in is None or self.read_in != self.epoch:
            return
        for delivery in deliveries:
            failpoint("B0", delivery.body or b"")
            self._buffer.add(delivery, _size(delivery))
        self._at_rest.clear()
        self._changed.set()
        self._mind_the_budget()

    async def run(self) -> None:
        """Store and commit chunk after chunk, until one fails."""
        try:
            while not self.failure.done():
                await self._until_due()
                await self._store_one_chunk()
        except Exception as error:  # noqa: BLE001 (whatever it is, going on would commit past this chunk)
            self.fail(error)
        finally:
            self._at_rest.set()

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            wait = self._buffer.seconds_until_ready()
            if wait == 0 or (self._draining and wait is not None):
                return
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _store_one_chunk(self) -> None:
        epoch = self._epoch
        before = self._buffer.bytes
        chunk = self._buffer.take()
        self._under_way_bytes = before - self._buffer.bytes
        if chunk:
            await self._store(chunk, epoch)
        self._under_way_bytes = None
        self._rest_when_done()
        self._mind_the_budget()

    async def _store(self, chunk: Sequence[Delivery], epoch: int) -> None:
        try:
            receipt = await self._handle(chunk, lambda: epoch == self._epoch)
        except NoLongerOurs:
            log.warning("Partitions went while a chunk of theirs was being stored. It is read again elsewhere.")
            return
        await self._commit(receipt, epoch)

    async def _commit(self, receipt: Receipt, epoch: int) -> None:
        """Commit until it is confirmed, or the partitions are no longer ours."""
        offsets = {at: receipt.resume_at[at.partition] for at in self._named(receipt.resume_at)}
        while epoch == self._epoch and self.consumer is not None and not self.failure.done():
            try:
                async with asyncio.timeout(self._plan.commit_seconds):
                    await self.consumer.commit({at: offset for at, offset in offsets.items() if at in self.partitions})
            except (CommitFailedError, IllegalStateError) as error:
                log.warning("A chunk is stored but was not ours to commit.", extra={"error": repr(error)})
                if epoch == self._epoch:  # the group has moved on without us; a new assignment is on its way
                    self._fence()
            except TimeoutError:
                log.warning("A commit was not confirmed in time; it is tried again.")
            else:
                self._vitals.last_progress = self._clock()
                failpoint("B4")
                return

    def _fence(self) -> None:
        """End the epoch: nothing of it is taken, stored or committed from here on."""
        self._epoch += 1
        self._owned = frozenset()
        self._taking = False
        self._paused = False  # a new assignment begins unpaused
        self._buffer.clear()
        self._rest_when_done()

    def _rest_when_done(self) -> None:
        if not self._buffer and self._under_way_bytes is None:
            self._at_rest.set()

    def _mind_the_budget(self) -> None:
        """Pause reading while too much is held; polling goes on, and with it the membership in the group."""
        over = self._buffer.bytes + (self._under_way_bytes or 0) >= _BATCHES_HELD * self._plan.batch.max_bytes
        if self.consumer is None or not self._taking or over == self._paused:
            return
        self._paused = over
        change = self.consumer.pause if over else self.consumer.resume
        change(*self.partitions)

    def _named(self, partitions: Iterable[int]) -> frozenset[TopicPartition]:
        return frozenset(TopicPartition(self._plan.topic, partition) for partition in partitions)


def _size(delivery: Delivery) -> int:
    headers = sum(len(name) + len(value) for name, value in delivery.headers)
    return len(delivery.key or b"") + len(delivery.envelope or b"") + len(delivery.body or b"") + headers
