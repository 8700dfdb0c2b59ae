"""A worker with a store of its own as a process of its own. It tells what it owns, waits for `go`, works until `stop`.

It is bound to a core by whoever starts it, before it is started: the engine's threads are bound with it.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from deploy.data_folder import DataFolder
from ledger.bus import Delivery
from ledger.store.clickhouse import ClickHousePool
from tests.bench.ingest_server import kafka_section
from tests.bench.working import BATCH, Stopwatch, database, deps_of
from workers.drivers.kafka import run_kafka_worker
from workers.drivers.kafka_subscriber import Pace
from workers.pipeline import Deps, process
from workers.receipts import Receipt
from workers.vitals import Vitals

_HEARTBEAT_MS = 500  # a member hears of the next one's joining with its heartbeat
_LOOK_SECONDS = 0.05
_STORED = "SELECT bus_partition, count(), sum(bus_offset) FROM request_logs FINAL GROUP BY bus_partition"


class Job(msgspec.Struct, frozen=True):
    """Which topic, and which folder."""

    folder: str
    servers: str
    topic: str
    partitions: int


class Mark(msgspec.Struct, frozen=True):
    """After an insert: how many rows there are, when (of the machine's steady clock), and the CPU time so far."""

    rows: float
    at: float
    cpu: float


class Ended(msgspec.Struct, frozen=True):
    """All marks; partition, rows and sum of offsets of what is in the store."""

    marks: list[Mark]
    stored: list[tuple[int, int, int]]


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line on stdout."""

    owned: int | None = None  # partitions, whenever their number changes
    rows: int | None = None  # so far, after every batch
    ended: Ended | None = None  # the last line


def say(said: Said) -> None:
    """Tell whoever started this."""
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.flush()


@dataclass(slots=True)
class _Work:
    deps: Deps
    watch: Stopwatch
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, batch: Sequence[Delivery], still_ours: Callable[[], bool] = lambda: True) -> Receipt:
        """Hold the first batch until the word is given; then process as always."""
        await self.go.wait()
        receipt = await process(self.deps, batch, still_ours)
        say(Said(rows=self.watch.rows))
        return receipt


async def run(job: Job) -> None:
    """Join the group, wait for the word, work, and tell what came of it."""
    data = DataFolder(Path(job.folder))
    data.make()
    data.prepare()
    section = replace(kafka_section(job.servers, job.topic), partitions=job.partitions)
    with database(data, "shard") as pool:
        watch, stop, vitals = Stopwatch(), asyncio.Event(), Vitals()
        work = _Work(deps_of(pool, data, watch), watch)
        telling = asyncio.create_task(_tell_what_is_owned(vitals))
        hearing = asyncio.create_task(_hear(work.go, stop))
        pace = Pace(heartbeat_ms=_HEARTBEAT_MS)
        await run_kafka_worker(section, BATCH, work.handle, stop=stop, vitals=vitals, pace=pace)
        telling.cancel()
        await hearing
        say(Said(ended=Ended([Mark(*mark) for mark in watch.marks], await _stored(pool))))


async def _tell_what_is_owned(vitals: Vitals) -> None:
    told = 0
    while True:
        if len(vitals.owned) != told:
            told = len(vitals.owned)
            say(Said(owned=told))
        await asyncio.sleep(_LOOK_SECONDS)


async def _hear(go: asyncio.Event, stop: asyncio.Event) -> None:
    events = {"go": go, "stop": stop}
    while not stop.is_set():
        line = await asyncio.to_thread(sys.stdin.readline)
        events[line.strip() or "stop"].set()  # the end of the input is the end of whoever gives the words


async def _stored(pool: ClickHousePool) -> list[tuple[int, int, int]]:
    rows = await pool.run(lambda client: client.query(_STORED).result_rows)
    return [(int(partition), int(count), int(offsets)) for partition, count, offsets in rows]


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Job)))
    sys.stdout.flush()
    os._exit(0)  # the embedded engine can crash while the interpreter tears itself down
