"""What the store has lost is stored again from the log: whatever was lost, and nothing when nothing was."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.rebuilding import Comparison, Expected, compare, rebuild_from_log
from ledger.bus import Delivery, Record
from ledger.bus.replays import replay_headers
from ledger.bus.sqlite_log import SqliteLog
from ledger.clock import from_milliseconds, system_clock
from ledger.ids import EventId, RecordId, keyed_id
from ledger.report import Kind
from ledger.retention import DAY_MS, DEFAULT, Installation, Policy
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.retention import Run, note_run, write_policy
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.chdb_fixtures import with_schema
from tests.support.events import a_delivery, an_entry, an_update_of
from workers.pipeline import process
from workers.wiring import standalone_deps

TABLES = ("request_logs", "request_bodies", "request_patches", "request_keys", "dead_letters")


@dataclass
class Standalone:
    """The log and the store of a product, and its worker, which works when it is told to."""

    log: SqliteLog
    pool: ClickHousePool
    blobs_url: str

    async def publish(self, *events: Delivery) -> None:
        for event in events:
            await self.log.publish(Record(event.key or b"", event.envelope or b"", event.body or b"", event.headers))

    async def work(self) -> int:
        """Store everything that waits, by a start of its own; how many records that was."""
        deps = standalone_deps(self.pool, self.blobs_url, system_clock)
        deps.store = ClickHouseStore(self.pool, token_prefix=f"{uuid4().hex}-")
        count = await self.log.waiting()
        read: list[Delivery] = []
        while len(read) < count:
            read.extend(await self.log.poll(count))
        if read:
            receipt = await process(deps, read)
            await self.log.commit(receipt.resume_at)
        return count

    async def command(self, sql: str) -> None:
        await self.pool.run(lambda client: client.command(sql))

    async def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the store shows."""
        return {table: await self._rows(table) for table in TABLES}

    async def _rows(self, table: str) -> list[tuple[Any, ...]]:
        columns = "generation, partition, offset, key, envelope, body, reason" if table == "dead_letters" else "*"
        found = await self.pool.run(lambda client: client.query(f"SELECT {columns} FROM {table} FINAL ORDER BY ALL"))
        return [tuple(map(str, row)) for row in found.result_rows]


@pytest.fixture
async def standalone(chdb_dsn: str, tmp_path: Path) -> AsyncIterator[Standalone]:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    log = SqliteLog(tmp_path / "log.sqlite")
    (tmp_path / "blobs").mkdir()
    yield Standalone(log, pool, (tmp_path / "blobs").as_uri())
    await log.close()
    pool.close()


def keyed(text: str) -> RecordId:
    return keyed_id(text, ID_SECRET)


def events() -> Iterator[Delivery]:
    """One of every kind of event that leaves something in the store, and some that leave little."""
    plain = [an_id(A_TIME, number) for number in range(40)]
    for id_ in plain[:10]:
        yield a_delivery({"reqPayload": {"model": "gpt-4o"}}, record_id=id_)
    for id_ in plain[10:20]:
        yield an_entry({"description": "first"}, record_id=id_)
        yield an_update_of(id_, {"description": "second"}, event_id=EventId(an_id(A_TIME, hash(id_) & 0xFFFF)))
    for number in range(10):
        yield an_entry({"description": f"keyed {number}"}, record_id=keyed(str(number)), idempotency_key=str(number))
    yield an_entry({"description": "keyed 0"}, record_id=keyed("0"), idempotency_key="0")  # a retry
    yield an_update_of(keyed("2"), {"description": "updated"})
    yield an_update_of(plain[30], {"description": "of a record that is not there"})
    yield a_delivery(b"no JSON", record_id=plain[31])
    yield Delivery(a_delivery().position, b"key", b"no envelope", b"{}")
    yield an_entry({"description": "other"}, record_id=keyed("1"), idempotency_key="1")  # a key that is used again
    for number, kind in enumerate((Kind.OPENPIPE_REPORT_ANTHROPIC, Kind.PEZZO_REQUEST)):
        yield a_delivery({"reqPayload": {}}, record_id=plain[32 + number], kind=kind)


@pytest.fixture
async def full(standalone: Standalone) -> Standalone:
    """With one of everything stored."""
    await standalone.publish(*events())
    await standalone.work()
    return standalone


async def rebuilt(standalone: Standalone) -> Comparison:
    found = await rebuild_from_log(standalone.log, standalone.pool)
    await standalone.work()
    return found


async def test_when_nothing_is_lost_nothing_is_read_again(full: Standalone, caplog: pytest.LogCaptureFixture) -> None:
    found = await rebuild_from_log(full.log, full.pool)
    assert (found.missing, found.lowest, await full.log.waiting()) == (0, None, 0)
    assert found.checked == len(list(events()))
    assert caplog.records == []


async def test_whatever_is_lost_is_there_again(full: Standalone, caplog: pytest.LogCaptureFixture) -> None:
    before = await full.content()
    for lost in [*([table] for table in TABLES), TABLES]:
        for table in lost:
            await full.command(f"TRUNCATE TABLE {table}")
        caplog.clear()
        found = await rebuilt(full)
        assert found.missing > 0, lost
        assert "The store lacks records" in caplog.text
        assert await full.content() == before, lost
    assert (await rebuild_from_log(full.log, full.pool)).missing == 0


async def test_an_older_state_of_a_row_is_noticed(full: Standalone) -> None:
    before = await full.content()
    id_ = an_id(A_TIME, 10)
    await full.publish(an_update_of(id_, {"description": "third"}, event_id=EventId(an_id(A_TIME, 77_777))))
    await full.work()
    after = await full.content()
    assert after != before
    await full.command("ALTER TABLE request_logs DELETE WHERE description = 'third' SETTINGS mutations_sync = 2")
    await full.command("OPTIMIZE TABLE request_logs FINAL")
    await rebuilt(full)
    assert await full.content() == after


async def test_a_deleted_row_is_accounted_for_by_its_tombstone(full: Standalone) -> None:
    await full.command(
        "INSERT INTO request_logs SELECT * REPLACE (1 AS is_deleted, version + 65537 AS version)"
        " FROM request_logs FINAL WHERE description = 'keyed 3'"
    )
    await full.command("TRUNCATE TABLE request_bodies")
    await full.command(
        "INSERT INTO request_bodies (project, created_at, id, version) SELECT project, created_at, id, version"
        " FROM request_logs WHERE description != 'keyed 3' OR description IS NULL"
    )
    assert (await rebuild_from_log(full.log, full.pool)).missing == 0


async def test_a_replayed_dead_letter_counts_where_it_was_accepted(standalone: Standalone) -> None:
    event = an_entry({"description": "again"}, offset=2)
    replayed = Delivery(event.position, event.key, event.envelope, event.body, replay_headers(event.position, 1))
    another = an_entry({"description": "another"}, record_id=an_id(A_TIME, 5))
    await standalone.publish(another, a_delivery(b"no JSON"), replayed)
    await standalone.work()
    assert (await rebuild_from_log(standalone.log, standalone.pool)).missing == 0
    await standalone.command("TRUNCATE TABLE request_logs")
    await rebuilt(standalone)
    assert len((await standalone.content())["request_logs"]) == 2


async def test_all_that_the_log_holds_is_looked_at_for_as_long_as_something_is_missing(
    standalone: Standalone,
) -> None:
    records, count = 1000, 3500
    times = range(A_TIME, A_TIME + count)
    batch = [an_entry(record_id=an_id(time, time - A_TIME), created_at=time) for time in times]
    await asyncio.gather(*map(standalone.publish, batch))
    await standalone.work()
    whole = await compare(standalone.log, standalone.pool, Expected(records))
    assert (whole.checked, whole.missing) == (records, 0)
    await standalone.command("TRUNCATE TABLE request_logs")
    lost = await rebuild_from_log(standalone.log, standalone.pool, Expected(records))
    assert lost == Comparison(count, count, 1)


async def test_what_is_no_longer_kept_is_not_taken_for_lost(full: Standalone) -> None:
    """Plain and keyed reports and updates: whatever is dated a day and more before what is kept."""
    dead = 3  # of no time that could be too old, and still there
    for table in ("request_logs", "request_bodies", "request_patches", "request_keys"):
        await full.command(f"TRUNCATE TABLE {table}")
    later = partial(from_milliseconds, A_TIME + 12 * DAY_MS)
    ten_days = Installation(default_days=10)
    kept_longer = Expected(installation=Installation(default_days=20), clock=later)
    assert (await compare(full.log, full.pool, kept_longer)).missing == len(list(events())) - dead
    found = await compare(full.log, full.pool, Expected(installation=ten_days, clock=later))
    assert (found.missing, found.lowest) == (0, None)


async def test_a_policy_that_was_set_counts_too(full: Standalone) -> None:
    for table in ("request_logs", "request_bodies", "request_patches", "request_keys"):
        await full.command(f"TRUNCATE TABLE {table}")
    await full.pool.run(partial(write_policy, policy=Policy(DEFAULT, 10, 1, "k")))
    later = partial(from_milliseconds, A_TIME + 12 * DAY_MS)
    assert (await rebuild_from_log(full.log, full.pool, Expected(clock=later))).missing == 0


async def test_with_a_clock_that_leapt_ahead_everything_is_still_expected(full: Standalone) -> None:
    for table in ("request_logs", "request_bodies"):
        await full.command(f"TRUNCATE TABLE {table}")
    await full.pool.run(partial(note_run, run=Run(A_TIME, A_TIME, A_TIME)))
    installation = Installation(default_days=10)
    missing = [
        (await compare(full.log, full.pool, Expected(installation=installation, clock=clock))).missing
        for clock in (partial(from_milliseconds, A_TIME + days * DAY_MS) for days in (1, 12))
    ]
    assert (missing[0] > 0, missing[1] == missing[0]) == (True, True)
