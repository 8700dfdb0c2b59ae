"""Two workers beside one, each bound to one core and with a store of its own, on a topic of eight partitions.

The topic is empty while they join, so that no partition moves once there is work; then it is filled while they hold
their first batches, then both begin. The broker is bound to no core: it takes its share from both sides.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import msgspec

from ledger.bus import Record
from ledger.settings import KafkaSection
from tests.bench.bodies import record
from tests.bench.figures import Figure, Target
from tests.bench.ingest_server import kafka_section
from tests.bench.plan import Plan
from tests.bench.processes import can_pin, pinned_to
from tests.bench.scaling_worker import Ended, Job, Mark, Said
from tests.bench.working import Speed, fill_topic

PARTITIONS = 8
WORKERS = 2
_STEP_SECONDS = 120.0
_AIM = Target(at_least=1.7)


class NotEachOnce(Exception):
    """Some records became no row, or a row in two stores."""


def measured(plan: Plan) -> list[Figure]:
    """One worker, then two, through as many records each time: enough that every worker makes several inserts."""
    home = plan.home()
    if not plan.kafka or not can_pin(WORKERS):
        sys.stderr.write("scaling is not measured: it needs Kafka and two cores that processes can be bound to.\n")
        return []
    records = [record(number, plan.body_bytes) for number in range(WORKERS * plan.rows)]
    one, two = (asyncio.run(_speed_of(workers, home / str(workers), plan.kafka, records)) for workers in (1, WORKERS))
    figure = Figure(
        name="two workers, each on one core: rows listed",
        unit="1/s",
        ours=two.rate,
        limit_name="one worker on one core",
        limit=one.rate,
        count=round(two.rows),
        seconds=two.seconds,
        cpu_us=two.cpu_us,
        limit_cpu_us=one.cpu_us,
        target=_AIM,
    )
    return [figure]


async def _speed_of(workers: int, home: Path, servers: str, records: Sequence[Record]) -> Speed:
    section = replace(kafka_section(servers, f"bench-{uuid4().hex[:12]}"), partitions=PARTITIONS)
    await fill_topic(section, [])
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(_started(home / str(place), place, section)) for place in range(workers)
        ]
        async with asyncio.timeout(_STEP_SECONDS):
            await _all_own(running, PARTITIONS // workers)
            await fill_topic(section, records)
        async with asyncio.timeout(_STEP_SECONDS):
            for worker in running:
                worker.tell("go")
            await _all_stored(running, len(records))
            ends = [await worker.ended() for worker in running]
    check_each_once(ends, len(records))
    return speed([end.marks for end in ends])


def speed(marks: Sequence[Sequence[Mark]]) -> Speed:
    """Between the last worker's first mark and the first worker's last: as if rows came evenly between two marks."""
    start, end = max(of[0].at for of in marks), min(of[-1].at for of in marks)
    if end <= start:
        raise ValueError("The workers were never at work at the same time; take more rows.")
    rows = sum(_at(of, end).rows - _at(of, start).rows for of in marks)
    cpu = sum(_at(of, end).cpu - _at(of, start).cpu for of in marks)
    return Speed(rows, end - start, cpu)


def _at(marks: Sequence[Mark], at: float) -> Mark:
    """How things stood at that time, which lies between the first mark and the last."""
    before, after = next(pair for pair in pairwise(marks) if at <= pair[1].at)
    share = (at - before.at) / (after.at - before.at)
    rows, cpu = (old + share * (new - old) for old, new in ((before.rows, after.rows), (before.cpu, after.cpu)))
    return Mark(rows, at, cpu)


def check_each_once(ends: Sequence[Ended], records: int) -> None:
    """In all stores together every offset of every partition is there once. Raises `NotEachOnce`."""
    counts: Counter[int] = Counter()
    sums: Counter[int] = Counter()
    for partition, rows, offsets in (found for end in ends for found in end.stored):
        counts[partition] += rows
        sums[partition] += offsets
    odd = [place for place, rows in counts.items() if sums[place] != rows * (rows - 1) // 2]
    if odd or counts.total() != records:
        raise NotEachOnce(f"{counts.total()} rows of {records} records; partitions with other offsets: {odd}")


@dataclass(frozen=True, slots=True)
class _Worker:
    process: Process

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())

    async def said(self) -> Said:
        """Its next line. Raises `ChildProcessError` when it has ended."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise ChildProcessError(f"A worker has ended with {await self.process.wait()}.")
        return msgspec.json.decode(line, type=Said)

    async def ended(self) -> Ended:
        """Ask it to stop; what it has measured."""
        self.tell("stop")
        while (ended := (await self.said()).ended) is None:
            pass
        return ended


@asynccontextmanager
async def _started(folder: Path, place: int, section: KafkaSection) -> AsyncIterator[_Worker]:
    job = msgspec.json.encode(Job(str(folder), section.bootstrap_servers, section.topic, section.partitions)).decode()
    with pinned_to(place):  # before it starts any thread
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.scaling_worker", job, stdin=PIPE, stdout=PIPE
        )
    try:
        yield _Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _all_own(workers: Sequence[_Worker], partitions: int) -> None:
    owned = {worker: 0 for worker in workers}

    async def follow(worker: _Worker) -> None:
        while owned[worker] != partitions:
            owned[worker] = (await worker.said()).owned or 0

    await asyncio.gather(*map(follow, workers))


async def _all_stored(workers: Sequence[_Worker], records: int) -> None:
    stored = {worker: 0 for worker in workers}
    done = asyncio.Event()

    async def follow(worker: _Worker) -> None:
        while True:
            stored[worker] = (await worker.said()).rows or stored[worker]
            if sum(stored.values()) >= records:
                done.set()

    async with asyncio.TaskGroup() as group:
        following = [group.create_task(follow(worker)) for worker in workers]
        await done.wait()
        for task in following:
            task.cancel()
