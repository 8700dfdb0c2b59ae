"""The worker over the log: every record is handed on once and in order, progress follows the write, errors stop it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.bus import Delivery, Record, committable
from ledger.bus.memory import MemoryBus
from ledger.errors import BusUnavailable
from ledger.settings import BatchSection
from workers.batching import CHUNKS
from workers.drivers.mark_file import MarkFile
from workers.drivers.sqlite_log import Guard, run_log_worker
from workers.receipts import Receipt
from workers.vitals import Vitals

AT_ONCE = BatchSection(max_rows=1000, max_age_seconds=0.001)
NEVER_OF_AGE = 3600.0


@dataclass
class Handling:
    """Stores chunks into a list, when the test lets it."""

    chunks: list[list[bytes | None]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    at_most: int | None = None  # of a chunk, whose receipt says so

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, chunk: Sequence[Delivery]) -> Receipt:
        chunk = chunk[: self.at_most]
        self.called.set()
        await self.gate.wait()
        if self.failure:
            raise self.failure
        self.chunks.append([delivery.body for delivery in chunk])
        return Receipt(stored=len(chunk), quarantined=0, resume_at=committable(chunk))

    @property
    def bodies(self) -> list[bytes | None]:
        return [body for chunk in self.chunks for body in chunk]


@dataclass
class WatchedBus(MemoryBus):
    """A bus in memory that tells when progress was made."""

    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, resume_at: dict[int, int]) -> None:
        await super().commit(resume_at)
        self.progress.set()

    passing_trouble: int = 0  # so many reads find the bus away
    failure: Exception | None = None  # what is raised by a read that has waited
    handed_out: int = 0

    async def poll(self, limit: int) -> Sequence[Delivery]:
        if self.passing_trouble:
            self.passing_trouble -= 1
            raise BusUnavailable
        found = await super().poll(limit)
        if self.failure:
            raise self.failure
        self.handed_out += len(found)
        self.progress.set()
        return found

    async def until_read(self, records: int) -> None:
        """Return once so many were handed out."""
        async with asyncio.timeout(30):
            while self.handed_out < records:
                self.progress.clear()
                await self.progress.wait()

    async def until(self, resume_at: int) -> None:
        """Return once everything before that offset was committed."""
        async with asyncio.timeout(30):
            while self.resume_at < resume_at:
                self.progress.clear()
                await self.progress.wait()


@dataclass
class Worker:
    """A worker that runs over a bus in memory."""

    batch: BatchSection = AT_ONCE
    bus: WatchedBus = field(default_factory=WatchedBus)
    handling: Handling = field(default_factory=Handling)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    vitals: Vitals = field(default_factory=Vitals)
    guard: Guard | None = None

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(
            run_log_worker(self.bus, self.batch, self.handling, stop=self.stop, vitals=self.vitals, guard=self.guard)
        )

    async def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            await self.bus.publish(Record(b"key", b"{}", body))

    async def finish(self, running: asyncio.Task[None]) -> None:
        self.stop.set()
        await running


async def refuse(delivery: Delivery) -> None:
    raise AssertionError(delivery)


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def test_every_record_is_handed_on_in_order_and_committed(worker: Worker) -> None:
    await worker.publish(*(b"%d" % number for number in range(10)))
    running = worker.start()
    await worker.bus.until(10)
    await worker.publish(b"later")
    await worker.bus.until(11)
    await worker.finish(running)
    assert worker.handling.bodies == [*(b"%d" % number for number in range(10)), b"later"]
    assert worker.bus.resume_at == 11


async def test_what_comes_while_a_batch_is_stored_is_read_ahead_but_no_more_than_a_batch() -> None:
    worker = Worker(BatchSection(max_rows=2, max_age_seconds=0.001))
    most = CHUNKS * worker.batch.max_rows
    worker.handling.gate.clear()
    first = worker.batch.max_rows
    await worker.publish(*[b"body"] * (first + most + 1))
    running = worker.start()
    await worker.handling.called.wait()
    await worker.bus.until_read(first + most)
    for _ in range(20):
        await asyncio.sleep(0)  # time enough to read on
    assert worker.bus.handed_out == first + most
    worker.handling.gate.set()
    await worker.bus.until(first + most + 1)
    await worker.finish(running)
    assert [len(chunk) for chunk in worker.handling.chunks] == [first, most, 1]


async def test_no_more_is_read_ahead_once_half_of_the_bytes_of_a_batch_are_held() -> None:
    worker = Worker(BatchSection(max_rows=1, max_bytes=100, max_age_seconds=NEVER_OF_AGE))
    worker.handling.gate.clear()
    await worker.publish(*[b"x" * 60] * 4)
    running = worker.start()
    await worker.handling.called.wait()
    await worker.bus.until_read(2)
    for _ in range(20):
        await asyncio.sleep(0)  # time enough to read on
    assert worker.bus.handed_out == 2
    worker.handling.gate.set()
    await worker.bus.until(4)
    await worker.finish(running)


async def test_what_reading_waits_for_is_taken_at_once_however_young_it_is() -> None:
    worker = Worker(BatchSection(max_rows=1000, max_bytes=100, max_age_seconds=NEVER_OF_AGE))
    running = worker.start()
    await worker.publish(b"x" * 60)
    await worker.bus.until(1)
    await worker.finish(running)


async def test_what_a_receipt_leaves_of_a_batch_under_a_mark_is_handed_on_next(tmp_path: Path) -> None:
    worker = Worker(guard=Guard(MarkFile(tmp_path / "mark"), set_aside=refuse))
    worker.handling.at_most = 2
    await worker.publish(b"a", b"b", b"c")
    running = worker.start()
    await worker.handling.called.wait()
    assert worker.vitals.on_trial
    await worker.bus.until(3)
    await worker.finish(running)
    assert worker.handling.chunks == [[b"a", b"b"], [b"c"]]
    assert not worker.vitals.on_trial


async def test_a_log_that_fails_while_a_batch_is_stored_stops_the_worker_after_it(worker: Worker) -> None:
    worker.handling.gate.clear()
    await worker.publish(b"a")
    running = worker.start()
    await worker.handling.called.wait()
    worker.bus.failure = RuntimeError("the disk")
    await worker.publish(b"b")
    await worker.bus.close()
    worker.handling.gate.set()
    with pytest.raises(RuntimeError, match="the disk"):
        await running
    assert worker.handling.bodies == [b"a"]


async def test_nothing_is_committed_before_it_is_stored(worker: Worker) -> None:
    worker.handling.gate.clear()
    await worker.publish(b"a")
    running = worker.start()
    await worker.handling.called.wait()
    assert worker.bus.resume_at == 0
    worker.handling.gate.set()
    await worker.bus.until(1)
    await worker.finish(running)


async def test_a_log_that_cannot_be_read_for_a_moment_is_read_again(worker: Worker) -> None:
    worker.bus.passing_trouble = 2
    await worker.publish(b"a")
    running = worker.start()
    await worker.bus.until(1)
    await worker.finish(running)
    assert worker.handling.bodies == [b"a"]


async def test_an_error_stops_the_worker_and_commits_nothing(worker: Worker) -> None:
    worker.handling.failure = RuntimeError("the store is broken")
    await worker.publish(b"a", b"b")
    running = worker.start()
    with pytest.raises(RuntimeError, match="broken"):
        await running
    assert (worker.bus.resume_at, worker.vitals.ready) == (0, False)


async def test_after_an_error_a_new_worker_reads_the_same_again(worker: Worker) -> None:
    worker.handling.failure = RuntimeError("the store is broken")
    await worker.publish(b"a", b"b")
    with pytest.raises(RuntimeError):
        await worker.start()
    again = Worker(bus=WatchedBus(records=worker.bus.records))
    running = again.start()
    await again.bus.until(2)
    await again.finish(running)
    assert again.handling.bodies == [b"a", b"b"]


async def test_what_was_read_when_it_is_stopped_is_finished() -> None:
    worker = Worker(BatchSection(max_rows=1000, max_age_seconds=NEVER_OF_AGE))
    await worker.publish(b"a", b"b")
    running = worker.start()
    for _ in range(20):
        await asyncio.sleep(0)  # time enough to read, not to be of age
    await worker.finish(running)
    assert worker.handling.bodies == [b"a", b"b"]
    assert worker.bus.resume_at == 2


async def test_a_worker_with_nothing_to_do_stops_when_it_is_told(worker: Worker) -> None:
    running = worker.start()
    await asyncio.sleep(0)
    while_running = worker.vitals.ready
    await worker.finish(running)
    assert (while_running, worker.vitals.ready) == (True, False)
    assert worker.handling.chunks == []


async def test_a_worker_that_was_stopped_before_it_began_hands_nothing_on(worker: Worker) -> None:
    await worker.publish(b"a")
    worker.stop.set()
    await worker.start()
    assert worker.handling.chunks == []


async def test_a_source_that_is_closed_ends_the_worker(worker: Worker) -> None:
    running = worker.start()
    await asyncio.sleep(0)
    await worker.bus.close()
    await running
    assert not worker.vitals.ready


async def test_progress_is_told(worker: Worker) -> None:
    await worker.publish(b"a")
    running = worker.start()
    await worker.bus.until(1)
    await worker.finish(running)
    assert worker.vitals.last_progress is not None


async def test_records_that_come_while_a_batch_is_stored_wait_for_the_next_one(worker: Worker) -> None:
    worker.handling.gate.clear()
    await worker.publish(b"a")
    running = worker.start()
    await worker.handling.called.wait()
    await worker.publish(b"b", b"c")
    worker.handling.gate.set()
    await worker.bus.until(3)
    await worker.finish(running)
    assert worker.handling.chunks == [[b"a"], [b"b", b"c"]]
