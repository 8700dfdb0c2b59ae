"""The worker of the standalone mode: read the log, process, commit. Stops on the first error; nothing is skipped.

The log is read further while a batch is stored, up to one batch more. Only what is stored is committed.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger.bus import Delivery, Source, committable
from ledger.failpoints import failpoint
from ledger.settings import BatchSection
from workers.batching import BatchBuffer, Pace
from workers.drivers.attempts import Attempts, Place, Step, attempts_at
from workers.drivers.mark_file import MarkFile
from workers.drivers.sizes import size_of
from workers.drivers.watching import watched
from workers.receipts import Receipt
from workers.retrying import RetryPolicy, retrying
from workers.vitals import Vitals

PARTITION = 0  # a log has one

log = logging.getLogger(__name__)

Handle = Callable[[Sequence[Delivery]], Awaitable[Receipt]]


SetAside = Callable[[Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Against records that kill the process: where the mark of what is tried is kept, and where killers go."""

    marks: MarkFile
    set_aside: SetAside  # makes a dead letter; durable on return


async def run_log_worker(
    source: Source,
    batch: BatchSection,
    handle: Handle,
    *,
    stop: asyncio.Event,
    vitals: Vitals,
    guard: Guard | None = None,
) -> None:
    """Process what is on the log and what comes, until `stop` is set; then finish what was read already."""
    if stop.is_set():
        return
    pace = Pace(time.monotonic)
    storing = _Storing(source, handle, guard, vitals, attempts_at(batch.max_rows))
    ahead = _Ahead(source, batch, BatchBuffer(batch, time.monotonic))
    reading = asyncio.create_task(ahead.read(), name="log-reading")
    stopping = asyncio.create_task(stop.wait(), name="log-stop")
    vitals.ready = True
    try:
        while chunk := await ahead.take(reading, stopping, pace.chunks):
            if stop.is_set():
                failpoint("B7")
            failpoint("C3")
            with pace.storing():
                await storing.store(chunk)
            vitals.last_progress = datetime.now(UTC)
    finally:
        vitals.ready = False
        stopping.cancel()
        await _end(reading)
        storing.take_back_mark()


@dataclass(slots=True)
class _Ahead:
    """What is read and not yet being stored."""

    source: Source
    limits: BatchSection
    buffer: BatchBuffer[Delivery]
    came: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_full(self) -> bool:
        """Whether enough is held: one read may bring the bytes of a whole batch, however few there is room for."""
        return not self.buffer.room or 2 * self.buffer.bytes >= self.limits.max_bytes

    async def read(self) -> None:
        """Read until the source is closed; wait while a batch is held."""
        while True:
            while self.is_full:
                self.taken.clear()
                await self.taken.wait()
            limit = min(self.buffer.room, self.limits.max_rows)
            found = await retrying(lambda: self.source.poll(limit), RetryPolicy())  # noqa: B023  used at once
            if not found:
                return
            for delivery in found:
                self.buffer.add(delivery, size_of(delivery))
            self.came.set()

    async def take(self, reading: asyncio.Task[None], stopping: asyncio.Task[bool], chunks: int) -> Sequence[Delivery]:
        """The next batch: once it is worth an insert, or nothing more may be waited for; empty when that was all."""
        while not (reading.done() or stopping.done() or self.is_full or self.buffer.seconds_until_ready() == 0):
            await self._until_more(reading, stopping)
        if stopping.done():
            await _end(reading)
        if reading.done() and not reading.cancelled():
            reading.result()
        batch = self.buffer.take(chunks)
        self.taken.set()
        return batch

    async def _until_more(self, *ends: asyncio.Task[Any]) -> None:
        """Return when something came, when what is held is old enough, or when one of these is done."""
        self.came.clear()
        coming = asyncio.create_task(self.came.wait())
        wait = self.buffer.seconds_until_ready()
        try:
            await asyncio.wait({coming, *ends}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@dataclass(slots=True)
class _Storing:
    """Stores and commits chunk after chunk; the first one under a mark, see `attempts`."""

    source: Source
    handle: Handle
    guard: Guard | None
    vitals: Vitals
    attempts: Attempts

    async def store(self, chunk: Sequence[Delivery]) -> None:
        rest = chunk
        while rest:
            step = self._next_step(rest)
            resume_at = await self._try(step)
            rest = step.left(resume_at)
            failpoint("C4")
            await retrying(lambda: self.source.commit(dict(resume_at)), RetryPolicy())  # noqa: B023  awaited at once
            failpoint("C5")
            self._settle(step, resume_at)

    def take_back_mark(self) -> None:
        """An end in good order: what is being tried has not killed anybody."""
        for place in self.attempts.take_back().values():
            self._write(place)

    def _next_step(self, rest: Sequence[Delivery]) -> Step:
        if self.guard is None:
            return Step(rest, ())
        unknown = self.attempts.unknown(rest)
        self.attempts.learn({at: self.guard.marks.read(rest[0].read_at.offset) for at in unknown})
        return self.attempts.next(rest)

    async def _try(self, step: Step) -> Mapping[int, int]:
        if step.before:
            self._write(step.before[PARTITION])
            self.attempts.begun(step)
        if step.kills and self.guard is not None:
            await self.guard.set_aside(step.deliveries[0])
            return committable(step.deliveries)
        for delivery in step.deliveries:
            failpoint("B0", delivery.body or b"")
        self.vitals.on_trial = bool(step.before)
        work = self.handle(step.deliveries)
        if step.before:
            work = watched(work, {self.vitals.read: self._lessen_mark, self.vitals.waits: self._acquit})
        return (await work).resume_at

    async def _lessen_mark(self) -> None:
        for place in self.attempts.lessened().values():
            self._write(place)

    async def _acquit(self) -> None:
        self.take_back_mark()

    def _settle(self, step: Step, resume_at: Mapping[int, int]) -> None:
        self.attempts.done(step, resume_at)
        if step.before or step.kills:
            self._write(step.places(resume_at)[PARTITION])

    def _write(self, place: Place) -> None:
        if self.guard is None:
            return
        try:
            self.guard.marks.write(place)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.warning("There is no room for the mark of what is tried.", extra={"error": str(error)})
