"""A worker's share of the topic: what it owns, what is buffered, what is being stored, what is committed.

Progress has one way only: a chunk is taken from the buffer, `handle` returns its receipt, the receipt is committed.
Whatever was read under an earlier assignment of partitions (an epoch) is dropped, since it will be read again; a chunk
that was being stored when its epoch ended is not committed. One chunk is under way at a time. What is tried first after
an assignment is marked beside the committed offset, see `attempts`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery, committable
from ledger.clock import Clock, system_clock
from ledger.failpoints import failpoint
from ledger.settings import BatchSection
from workers.batching import BatchBuffer, Pace
from workers.drivers.attempts import Place, Step, attempts_at
from workers.drivers.kafka_commits import Commits, GroupConsumer
from workers.drivers.sizes import size_of
from workers.drivers.watching import watched
from workers.receipts import Receipt
from workers.vitals import Vitals
from workers.writing import NoLongerOurs

Handle = Callable[[Sequence[Delivery], Callable[[], bool]], Awaitable[Receipt]]
"""Stores a chunk. The second argument says whether the chunk's partitions are still this worker's."""

SetAside = Callable[[Delivery], Awaitable[None]]
"""Makes a dead letter of a record that has killed the worker again and again. Durable on return."""

_BATCHES_HELD = 2  # reading pauses when so many times the bytes of a batch are buffered or being stored
_TAKE_BACK_SECONDS = 3.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """How the intake of one topic behaves."""

    topic: str
    batch: BatchSection
    revoke_seconds: float = 55.0  # for finishing before the partitions go; below the group's rebalance timeout
    commit_seconds: float = 10.0
    set_aside: SetAside | None = None  # None: a record that kills the worker is tried for ever, and nothing is marked
    seconds: Callable[[], float] = time.monotonic


class Intake:
    """Between the consumer, which is attached and calls the rest, and `handle`, which `run` calls."""

    def __init__(self, plan: IntakePlan, handle: Handle, vitals: Vitals, clock: Clock = system_clock) -> None:
        self._plan = plan
        self._handle = handle
        self._vitals = vitals
        self._clock = clock
        self._buffer: BatchBuffer[Delivery] = BatchBuffer(plan.batch, plan.seconds)
        self._pace = Pace(plan.seconds)
        self._under_way_bytes: int | None = None  # of the chunk that is being stored
        self._owned: frozenset[int] = frozenset()
        self._epoch = 0
        self._taking = False
        self._draining = False
        self._paused = False
        self._commits = Commits(plan.topic, plan.commit_seconds)
        self._attempts = attempts_at(plan.batch.max_rows)
        self.moves = 0  # grows with everything that comes from Kafka
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
        return self._commits.named(self._owned)

    @property
    def any_partition(self) -> TopicPartition:
        """One that the topic has for certain."""
        return TopicPartition(self._plan.topic, 0)

    @property
    def waits_for(self) -> str | None:
        """What Kafka has to give before this worker can go on; None while the worker itself has something to do."""
        if self.failure.done():
            return None
        if self._commits.under_way:
            return "the confirmation of a commit"
        if self._buffer or self._under_way_bytes is not None:
            return None
        if not self._taking:
            return "an assignment of partitions"
        return "records" if self._owned else None

    def fail(self, error: Exception) -> None:
        """Nothing is taken or committed from here on; `failure` tells whoever waits for it."""
        self._taking = False
        self._changed.set()
        if not self.failure.done():
            self.failure.set_result(error)

    def attach(self, consumer: GroupConsumer) -> None:
        """Commit, pause and resume through this consumer."""
        self._commits.consumer = consumer

    @property
    def consumer(self) -> GroupConsumer | None:
        """The consumer that is attached."""
        return self._commits.consumer

    def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions, and no others, are read from their committed offsets from here on."""
        self._fence()
        self._owned = self._vitals.owned = frozenset(partitions)
        self._taking = not self.failure.done()
        self._draining = False
        self.moves += 1
        log.info("Partitions assigned.", extra={"topic": self._plan.topic, "partitions": sorted(self._owned)})

    async def revoked(self) -> None:
        """Store and commit what was read, as far as there is time; then nothing is this worker's any more."""
        failpoint("B6")
        try:
            async with asyncio.timeout(self._plan.revoke_seconds):
                await self.drain()
        except TimeoutError:
            log.warning("Partitions went before what was read from them was stored. It is read again elsewhere.")
            await self._take_back_within(_TAKE_BACK_SECONDS)  # the group does not wait much longer
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
            self._buffer.add(delivery, size_of(delivery))
        self.moves += 1
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
        chunk = self._buffer.take(self._pace.chunks)
        self._under_way_bytes = before - self._buffer.bytes
        self._mind_the_budget()
        if chunk:
            with self._pace.storing():
                await self._store(chunk, epoch)
        self._under_way_bytes = None
        self._rest_when_done()
        self._mind_the_budget()

    async def _store(self, chunk: Sequence[Delivery], epoch: int) -> None:
        rest = chunk
        while rest and self._ours(epoch):
            step = await self._next_step(rest, epoch)
            if self._ours(epoch):
                rest = await self._try(step, epoch)

    async def _next_step(self, rest: Sequence[Delivery], epoch: int) -> Step:
        if self._plan.set_aside is None:
            return Step(rest, ())
        places = await self._commits.read(self._attempts.unknown(rest), lambda: self._ours(epoch))
        if not self._ours(epoch):
            return Step((), ())
        self._attempts.learn(places)
        return self._attempts.next(rest)

    async def _try(self, step: Step, epoch: int) -> Sequence[Delivery]:
        """What is left to be tried. Nothing is, once the epoch has ended."""
        if step.before:
            if not await self._confirmed(step.before, epoch) or not self._ours(epoch):
                return ()  # the epoch may end while the marks are being confirmed
            self._attempts.begun(step)
        try:
            resume_at = await self._resume_at(step, epoch)
        except NoLongerOurs:
            log.warning("Partitions went while a chunk of theirs was being stored. It is read again elsewhere.")
            return ()
        if not await self._confirmed(step.places(resume_at), epoch) or not self._ours(epoch):
            return ()
        self._attempts.done(step, resume_at)
        self._vitals.last_progress = self._clock()
        failpoint("B4")
        return step.left(resume_at)

    async def _resume_at(self, step: Step, epoch: int) -> Mapping[int, int]:
        if step.kills and self._plan.set_aside is not None:
            await self._plan.set_aside(step.deliveries[0])
            return committable(step.deliveries)
        for delivery in step.deliveries:
            failpoint("B0", delivery.body or b"")
        self._vitals.on_trial = bool(step.before)
        work = self._handle(step.deliveries, lambda: epoch == self._epoch)
        if step.before:
            reactions = {self._vitals.read: self._lessen_marks, self._vitals.waits: self.take_back_marks}
            work = watched(work, reactions)
        return (await work).resume_at

    async def _confirmed(self, places: Mapping[int, Place], epoch: int) -> bool:
        try:
            confirmed = await self._commits.confirmed(places, lambda: self._ours(epoch))
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("A commit was refused, since the partitions are not ours.", extra={"error": repr(error)})
            if epoch == self._epoch:  # the group has moved on without us; a new assignment is on its way
                self._fence()
            return False
        self.moves += confirmed
        return confirmed

    def _ours(self, epoch: int) -> bool:
        return epoch == self._epoch and not self.failure.done()

    async def _lessen_marks(self) -> None:
        """The records are read: what kills from here on is hardly one of them."""
        await self._mark_mine(self._attempts.lessened())

    async def take_back_marks(self) -> None:
        """Before leaving in an orderly way: what is being tried has not killed anybody."""
        await self._mark_mine(self._attempts.take_back())

    async def _take_back_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.take_back_marks()
        except TimeoutError:
            log.warning("The marks of what was tried stay; they count as a crash.")

    async def _mark_mine(self, places: Mapping[int, Place]) -> None:
        await self._commits.once({at: place for at, place in places.items() if at in self._owned})

    def _fence(self) -> None:
        """End the epoch: nothing of it is taken, stored or committed from here on."""
        self._epoch += 1
        self._owned = self._vitals.owned = frozenset()
        self._taking = False
        self._paused = False  # a new assignment begins unpaused
        self._buffer.clear()
        self._attempts.forget()
        self._rest_when_done()

    def _rest_when_done(self) -> None:
        if not self._buffer and self._under_way_bytes is None:
            self._at_rest.set()

    def _mind_the_budget(self) -> None:
        """Pause reading while too much is held; polling goes on, and with it the membership in the group."""
        held = self._buffer.bytes + (self._under_way_bytes or 0)
        over = not self._buffer.room or held >= _BATCHES_HELD * self._plan.batch.max_bytes
        if self.consumer is None or not self._taking or over == self._paused:
            return
        self._paused = over
        change = self.consumer.pause if over else self.consumer.resume
        change(*self.partitions)
