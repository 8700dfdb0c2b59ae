"""Running a Kafka worker inside a test, over a handle that remembers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ledger.bus import Delivery, committable
from ledger.settings import BatchSection, KafkaSection
from workers.drivers.kafka import Safeguards, run_kafka_worker
from workers.drivers.kafka_intake import Handle
from workers.drivers.kafka_subscriber import Pace
from workers.receipts import Receipt
from workers.vitals import Vitals

HURRIED = Pace(session_ms=6_000, heartbeat_ms=200, rebalance_ms=10_000, poll_ms=20, drain_seconds=10.0, lag_seconds=0.2)
SMALL = BatchSection(max_rows=100, max_bytes=1024 * 1024, max_age_seconds=0.05)
NONE = Safeguards()
_PATIENCE_SECONDS = 45.0


@dataclass(slots=True)
class Remembering:
    """A handle that stores into a list."""

    stored: list[Delivery] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        self.stored.extend(chunk)
        self.changed.set()
        return Receipt(stored=len(chunk), quarantined=0, resume_at=committable(chunk))

    @property
    def bodies(self) -> list[bytes | None]:
        return [delivery.body for delivery in self.stored]

    async def until(self, condition: Callable[["Remembering"], bool]) -> None:
        """Return once what is stored fulfils the condition."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


@dataclass(slots=True)
class WorkerRun:
    """A worker that runs as a task."""

    task: asyncio.Task[None]
    stop: asyncio.Event
    vitals: Vitals

    async def ended(self) -> None:
        """Wait until the worker ends by itself; raises what it raises."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self.task

    async def until_ready(self) -> None:
        """Wait until the worker is a member of its group."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not self.vitals.ready:  # noqa: ASYNC110 (vitals are polled by their readers)
                await asyncio.sleep(0.02)

    async def until_lag(self, lag: int) -> None:
        """Wait until the worker knows that it is so far behind."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.vitals.lag != lag:  # noqa: ASYNC110 (vitals are polled by their readers)
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_worker(
    section: KafkaSection,
    handle: Handle,
    batch: BatchSection = SMALL,
    pace: Pace = HURRIED,
    safeguards: Safeguards = NONE,
) -> AsyncIterator[WorkerRun]:
    """A worker that is stopped in good order at the end, unless it has ended before."""
    stop, vitals = asyncio.Event(), Vitals()
    working = run_kafka_worker(section, batch, handle, stop=stop, vitals=vitals, pace=pace, safeguards=safeguards)
    run = WorkerRun(asyncio.create_task(working), stop, vitals)
    try:
        yield run
    except BaseException:
        run.task.cancel()
        await asyncio.wait({run.task})
        raise
    stop.set()
    if not run.task.done():
        await run.ended()
