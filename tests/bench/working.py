"""Ways from a bus, or from ready rows, into the store; each under a stopwatch, and each counted at its end.

The time runs from the end of the first insert to the end of the last: what starting takes is left out. The embedded
engine runs in this process, so its work is part of the CPU time.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from deploy import event_loop
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
from tests.bench.bodies import FIRST_MS
from tests.bench.listing_rows import fill, settle
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

BATCH = BatchSection()
_AT_ONCE = 2000
_SETTLE_SECONDS = 20.0


@dataclass(slots=True)
class Stopwatch:
    """Notes after every insert how many rows there are, what time it is and how much CPU time was used."""

    marks: list[tuple[int, float, float]] = field(default_factory=list)

    def mark(self, rows: int) -> None:
        """So many rows more are stored."""
        so_far = self.marks[-1][0] if self.marks else 0
        times = os.times()
        self.marks.append((so_far + rows, time.monotonic(), times.user + times.system))

    @property
    def rows(self) -> int:
        """All rows that are stored."""
        return self.marks[-1][0] if self.marks else 0

    def between(self) -> tuple[int, float, float]:
        """Rows, seconds and CPU seconds between the end of the first insert and the end of the last."""
        (rows, at, cpu), (last_rows, last_at, last_cpu) = self.marks[0], self.marks[-1]
        return last_rows - rows, last_at - at, last_cpu - cpu


@dataclass(slots=True)
class Speed:
    """Of one way: the sum of its measurements."""

    rows: float = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, watch: Stopwatch) -> None:
        """One measurement more."""
        rows, seconds, cpu = watch.between()
        self.rows, self.seconds, self.cpu_seconds = self.rows + rows, self.seconds + seconds, self.cpu_seconds + cpu

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time per row, in microseconds."""
        return 1e6 * self.cpu_seconds / self.rows


class WatchedStore(ClickHouseStore):
    """Notes when rows are listed: after each insert, as a batch may be all that a worker has at hand."""

    def __init__(self, pool: ClickHousePool, watch: Stopwatch) -> None:
        super().__init__(pool)
        self._watch = watch

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        """As always; then it is noted."""
        await super().insert_rows(rows, token)
        self._watch.mark(len(rows))


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


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where one measurement is made: files, a name of its own, and how many rows lie in the store already."""

    data: DataFolder
    name: str
    stored: int = 0

    @contextmanager
    def opened(self) -> Iterator[ClickHousePool]:
        """A pool over a new database that holds `stored` calls from before."""
        with database(self.data, self.name) as pool:
            if self.stored:
                pool.run_here(lambda client: fill(client, self.stored))
                pool.run_here(lambda client: settle(client, _SETTLE_SECONDS))
            yield pool


async def insert_ready(place: Workplace, batches: Sequence[Sequence[RequestLog]]) -> Stopwatch:
    """The limit: rows that only have to be written."""
    watch = Stopwatch()
    with place.opened() as pool:
        store = WatchedStore(pool, watch)
        set_apart()
        for rows in batches:
            token = uuid4().hex
            await store.insert_bodies(rows, token)
            await store.insert_rows(rows, token)
        await check_listed(pool, watch.rows)
    return watch


async def ready_batches(records: Sequence[Record]) -> list[list[RequestLog]]:
    """The rows that these records become, in batches as a worker would write them."""
    return [await _ready_rows(part, start) for start, part in slices(records, BATCH.max_rows)]


async def _ready_rows(records: Sequence[Record], start: int) -> list[RequestLog]:
    deliveries = as_read(records, start)
    rows: list[RequestLog] = []
    price = Pricing().price
    while deliveries:
        prepared = prepare(deliveries, price)
        folded = await fold(Chunk(prepared.reports, prepared.updates), RememberingStore(), price)
        rows += [item.row for item in folded.rows]
        deliveries = deliveries[prepared.count :]
    return rows


def as_read(records: Sequence[Record], start: int = 0) -> list[Delivery]:
    """These records as they come from the bus."""
    return [
        Delivery(Position(1, 0, offset), record.key, record.envelope, record.body)
        for offset, record in enumerate(records, start + 1)
    ]


async def through_sqlite_log(place: Workplace, records: Sequence[Record]) -> Stopwatch:
    """The standalone's way."""
    path = place.data.root / f"{place.name}.sqlite"
    full = SqliteLog(path)
    await publish_all(full, records)
    await full.close()
    watch, stop = Stopwatch(), asyncio.Event()
    with place.opened() as pool:
        handle = partial(handled, deps_of(pool, place.data, watch), watch, stop, len(records))
        log = SqliteLog(path)
        set_apart()
        try:
            await run_log_worker(log, BATCH, handle, stop=stop, vitals=Vitals())
        finally:
            await log.close()
        await check_listed(pool, len(records))
    return watch


async def through_kafka(place: Workplace, records: Sequence[Record], section: KafkaSection) -> Stopwatch:
    """The cluster's way, but for the engine, which is in this process."""
    await fill_topic(section, records)
    watch, stop = Stopwatch(), asyncio.Event()
    with place.opened() as pool:
        handle = partial(handled, deps_of(pool, place.data, watch), watch, stop, len(records))
        set_apart()
        await run_kafka_worker(section, BATCH, handle, stop=stop)
        await check_listed(pool, len(records))
    return watch


async def fill_topic(section: KafkaSection, records: Sequence[Record]) -> None:
    """Make the topic and publish the records."""
    await ensure_topics(section, wait_seconds=30.0)
    publisher = KafkaPublisher(section)
    await publisher.start()
    while not publisher.connected:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0.05)
    await publish_all(publisher, records)
    await publisher.close()


async def handled(
    deps: Deps,
    watch: Stopwatch,
    stop: asyncio.Event,
    wanted: int,
    batch: Sequence[Delivery],
    still_ours: Callable[[], bool] = lambda: True,
) -> Receipt:
    """Process the batch; stop once as many rows as are wanted are there."""
    receipt = await process(deps, batch, still_ours)
    if watch.rows >= wanted:
        stop.set()
    return receipt


def deps_of(pool: ClickHousePool, data: DataFolder, watch: Stopwatch) -> Deps:
    """The pipeline's parts, over the embedded engine; what is listed is noted."""
    deps = standalone_deps(pool, data.blobs_url, system_clock)
    deps.store = WatchedStore(pool, watch)
    return deps


async def publish_all(bus: Publisher, records: Sequence[Record]) -> None:
    """Publish the records, many at a time."""
    for _, part in slices(records, _AT_ONCE):
        await asyncio.gather(*map(bus.publish, part))


async def check_listed(pool: ClickHousePool, wanted: int) -> None:
    """Exactly so many of the bench's own rows are there. Raises `AssertionError`."""
    sql = f"SELECT count() FROM request_logs FINAL WHERE created_at >= fromUnixTimestamp64Milli(toInt64({FIRST_MS}))"
    found = await pool.run(lambda client: client.query(sql).result_rows[0][0])
    if found != wanted:
        raise AssertionError(f"{found} of {wanted} rows are listed.")


def set_apart() -> None:
    """Keep the garbage collector from walking over what only the bench holds; for the rest as the product has it."""
    event_loop.settle()


def slices(records: Sequence[Record], size: int) -> Iterator[tuple[int, Sequence[Record]]]:
    """Parts of this size, each with the number of its first record."""
    for start in range(0, len(records), size):
        yield start, records[start : start + size]
