"""Rows per second from a full bus until they are listed, beside inserting the same rows when they are ready.

The time runs from the end of the first batch to the end of the last, on both sides: what starting takes is left out.
The embedded engine runs in this process, so its work is part of both sides' CPU time.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec

from deploy.data_folder import DataFolder
from ledger.bus import Delivery, Position, Publisher, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import ensure_topics
from ledger.bus.sqlite_log import SqliteLog
from ledger.clock import system_clock
from ledger.request_log import RequestLog
from ledger.settings import BatchSection, KafkaSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.migrations import available, drive, migrate
from tests.bench.bodies import record
from tests.bench.figures import Figure
from tests.bench.ingest_server import kafka_section
from tests.support.recording import RememberingStore
from workers.drivers.kafka import run_kafka_worker
from workers.drivers.sqlite_log import run_log_worker
from workers.folding import Chunk, fold
from workers.pipeline import Deps, process
from workers.preparing import prepare
from workers.pricing import Pricing
from workers.receipts import Receipt
from workers.vitals import Vitals
from workers.wiring import standalone_deps

_AT_ONCE = 2000
_BATCH = BatchSection()


@dataclass(slots=True)
class Stopwatch:
    """Notes after every batch how many rows there are, what time it is and how much CPU time was used."""

    marks: list[tuple[int, float, float]] = field(default_factory=list)

    def mark(self, rows: int) -> None:
        """So many rows more are stored."""
        so_far = self.marks[-1][0] if self.marks else 0
        times = os.times()
        self.marks.append((so_far + rows, time.perf_counter(), times.user + times.system))

    @property
    def rows(self) -> int:
        """All rows that are stored."""
        return self.marks[-1][0] if self.marks else 0

    def between(self) -> tuple[int, float, float]:
        """Rows, seconds and CPU seconds between the end of the first batch and the end of the last."""
        (rows, at, cpu), (last_rows, last_at, last_cpu) = self.marks[0], self.marks[-1]
        return last_rows - rows, last_at - at, last_cpu - cpu


@contextmanager
def database(data: DataFolder, name: str) -> Iterator[ClickHousePool]:
    """A pool over a new database with the ledger's tables; `default` must be open meanwhile."""
    admin = ClickHousePool(data.store_dsn, threads=1, engine_config=data.engine_config)
    pool = ClickHousePool(f"{data.store_dsn}?database={name}", threads=1, engine_config=data.engine_config)
    try:
        admin.run_here(lambda client: client.command(f"CREATE DATABASE {name}"))
        pool.run_here(lambda client: drive(migrate(available()), client))
        yield pool
    finally:
        pool.close()
        admin.close()


async def insert_ready(data: DataFolder, records: Sequence[Record]) -> Stopwatch:
    """The limit: rows that only have to be written."""
    batches = [await ready_rows(part, start) for start, part in _slices(records, _BATCH.max_rows)]
    watch = Stopwatch()
    _set_apart()
    with database(data, "ready") as pool:
        store = ClickHouseStore(pool)
        for rows in batches:
            token = uuid4().hex
            await store.insert_bodies(rows, token)
            await store.insert_rows(rows, token)
            watch.mark(len(rows))
        await _check_listed(pool, len(records))
    return watch


async def ready_rows(records: Sequence[Record], start: int) -> list[RequestLog]:
    """The rows that these records become."""
    deliveries = [
        Delivery(Position(1, 0, offset), record.key, record.envelope, record.body)
        for offset, record in enumerate(records, start + 1)
    ]
    rows: list[RequestLog] = []
    while deliveries:
        prepared = prepare(deliveries)
        folded = await fold(Chunk(prepared.reports, prepared.updates), RememberingStore(), Pricing().price)
        rows += [item.row for item in folded.rows]
        deliveries = deliveries[prepared.count :]
    return rows


async def through_sqlite_log(data: DataFolder, records: Sequence[Record]) -> Stopwatch:
    """The standalone's way."""
    full = SqliteLog(data.log)
    await _fill(full, records)
    await full.close()
    _set_apart()
    watch, stop, log = Stopwatch(), asyncio.Event(), SqliteLog(data.log)
    with database(data, "sqlite_log") as pool:
        handle = partial(_handled, _deps(pool, data), watch, stop, len(records))
        try:
            await run_log_worker(log, _BATCH, handle, stop=stop, vitals=Vitals())
        finally:
            await log.close()
        await _check_listed(pool, len(records))
    return watch


async def through_kafka(data: DataFolder, records: Sequence[Record], section: KafkaSection) -> Stopwatch:
    """The cluster's way, but for the engine, which is in this process."""
    await ensure_topics(section, wait_seconds=30.0)
    publisher = KafkaPublisher(section)
    await publisher.start()
    while not publisher.connected:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0.05)
    await _fill(publisher, records)
    await publisher.close()
    _set_apart()
    watch, stop = Stopwatch(), asyncio.Event()
    with database(data, "kafka") as pool:
        handle = partial(_handled, _deps(pool, data), watch, stop, len(records))
        await run_kafka_worker(section, _BATCH, handle, stop=stop)
        await _check_listed(pool, len(records))
    return watch


async def _handled(
    deps: Deps,
    watch: Stopwatch,
    stop: asyncio.Event,
    wanted: int,
    batch: Sequence[Delivery],
    still_ours: Callable[[], bool] = lambda: True,
) -> Receipt:
    receipt = await process(deps, batch, still_ours)
    watch.mark(receipt.stored)
    if watch.rows >= wanted:
        stop.set()
    return receipt


def _deps(pool: ClickHousePool, data: DataFolder) -> Deps:
    return standalone_deps(pool, data.blobs_url, system_clock)


async def _fill(bus: Publisher, records: Sequence[Record]) -> None:
    for _, part in _slices(records, _AT_ONCE):
        await asyncio.gather(*map(bus.publish, part))


async def _check_listed(pool: ClickHousePool, wanted: int) -> None:
    found = await pool.run(lambda client: client.query("SELECT count() FROM request_logs FINAL").result_rows[0][0])
    if found != wanted:
        raise AssertionError(f"{found} of {wanted} rows are listed.")


def _set_apart() -> None:
    """Keep the garbage collector from walking, again and again, over what only the bench holds."""
    gc.collect()
    gc.freeze()


def _slices(records: Sequence[Record], size: int) -> Iterator[tuple[int, Sequence[Record]]]:
    for start in range(0, len(records), size):
        yield start, records[start : start + size]


def _figure(name: str, ours: Stopwatch, limit: Stopwatch) -> Figure:
    rows, seconds, cpu = ours.between()
    limit_rows, limit_seconds, limit_cpu = limit.between()
    return Figure(
        name=f"worker, {name}: rows listed",
        unit="1/s",
        ours=rows / seconds,
        limit_name="the same rows, ready, through the same client",
        limit=limit_rows / limit_seconds,
        count=rows,
        seconds=seconds,
        cpu_us=1e6 * cpu / rows,
        limit_cpu_us=1e6 * limit_cpu / limit_rows,
    )


async def measured(folder: Path, rows: int, body_bytes: int, kafka_servers: str | None) -> list[Figure]:
    """Each bus beside the limit."""
    data = DataFolder(folder)
    data.make()
    data.prepare()
    records = [record(number, body_bytes) for number in range(rows)]
    limit = await insert_ready(data, records)
    figures = [_figure("SQLite log", await through_sqlite_log(data, records), limit)]
    if kafka_servers:
        section = kafka_section(kafka_servers, f"bench-{uuid4().hex[:12]}")
        figures.append(_figure("Kafka", await through_kafka(data, records, section), limit))
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--body-bytes", type=int, required=True)
    parser.add_argument("--kafka", metavar="SERVERS")
    options = parser.parse_args()
    found = asyncio.run(measured(options.folder, options.rows, options.body_bytes, options.kafka))
    sys.stdout.buffer.write(msgspec.json.encode(found))
    sys.stdout.flush()
    os._exit(0)  # the embedded engine can crash while the interpreter tears itself down
