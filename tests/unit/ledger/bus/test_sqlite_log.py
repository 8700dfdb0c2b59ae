"""The SQLite log beyond the contracts: who may open it, what it refuses, what it forgets."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from ledger.bus import Position, Record, committable
from ledger.bus.sqlite_log import MAX_POLL_BYTES, PRUNE_ROWS, Retention, SqliteLog
from ledger.bus.sqlite_opening import PAGE_BYTES
from ledger.errors import BusUnavailable, Misconfigured

FORGET_AT_ONCE = Retention(seconds=-1.0, max_rows=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "log.sqlite"


@asynccontextmanager
async def opened(path: Path, deadline_seconds: float = 60.0) -> AsyncIterator[SqliteLog]:
    log = SqliteLog(path, deadline_seconds=deadline_seconds)
    try:
        yield log
    finally:
        await log.close()


async def publish(log: SqliteLog, count: int, body: bytes = b"body") -> list[Position]:
    return await asyncio.gather(*(log.publish(Record(b"key", b"{}", body)) for _ in range(count)))


async def read_all(log: SqliteLog, count: int) -> None:
    """Read and commit that many records."""
    while count:
        found = await log.poll(count)
        await log.commit(committable(found))
        count -= len(found)


async def test_a_second_opener_is_refused_until_the_first_has_closed(path: Path) -> None:
    async with opened(path):
        with pytest.raises(Misconfigured, match="in use by another process"):
            SqliteLog(path)
    async with opened(path):
        pass


async def test_the_file_is_private(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 1)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes.keys() >= {"log.sqlite", "log.sqlite-wal", "log.sqlite.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_commit_is_synced_to_the_disk_before_it_returns(path: Path) -> None:
    full = 2
    async with opened(path) as log:
        (synchronous,) = log._writer.execute("PRAGMA synchronous").fetchone()  # no other connection can tell
        (journal,) = log._writer.execute("PRAGMA journal_mode").fetchone()
    assert (synchronous, journal) == (full, "wal")


async def test_an_emptied_log_never_gives_an_old_offset_again(path: Path) -> None:
    async with opened(path) as log:
        old = await publish(log, 3)
        await read_all(log, 3)
        assert await log.prune(FORGET_AT_ONCE) == 3
    async with opened(path) as log:
        (new,) = await publish(log, 1)
        assert new > max(old)
        assert [found.position for found in await log.poll(10)] == [new]


async def test_pruning_never_removes_what_was_not_read(path: Path) -> None:
    async with opened(path) as log:
        positions = await publish(log, 5)
        assert await log.prune(FORGET_AT_ONCE) == 0
        await read_all(log, 2)
        assert await log.prune(FORGET_AT_ONCE) == 2
    async with opened(path) as log:
        assert [found.position for found in await log.poll(10)] == positions[2:]


async def test_what_was_read_is_kept_for_its_retention(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 10)
        await read_all(log, 10)
        assert await log.prune(Retention(seconds=3600.0)) == 0
        assert await log.prune(Retention(seconds=3600.0, max_rows=4)) == 6
        assert await log.prune(Retention(seconds=3600.0, max_rows=4)) == 0


async def test_pruning_takes_a_bounded_number_of_rows_at_a_time(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, PRUNE_ROWS + 1)
        await read_all(log, PRUNE_ROWS + 1)
        assert [await log.prune(FORGET_AT_ONCE) for _ in range(3)] == [PRUNE_ROWS, 1, 0]


async def test_what_waits_is_what_was_not_committed(path: Path) -> None:
    async with opened(path) as log:
        assert await log.waiting() == 0
        await publish(log, 4)
        found = await log.poll(10)
        assert await log.waiting() == 4
        await log.commit(committable(found[:3]))
        assert await log.waiting() == 1


async def test_a_poll_gives_at_least_one_record_and_not_many_more_bytes_than_it_may(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 4, bytes(MAX_POLL_BYTES // 2))
        assert [len(await log.poll(10)) for _ in range(2)] == [2, 2]


async def test_a_log_that_ends_before_what_was_read_is_refused(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 3)
        await read_all(log, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 2")
        connection.commit()
    for _ in range(2):  # the refusal lets go of the file
        with pytest.raises(Misconfigured, match=r"ends before what was already read \(3 < 4\)"):
            SqliteLog(path)


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to look like one" * 100, b"SQLite format 3\0"]
)
async def test_what_is_no_log_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="cannot be opened"):
            SqliteLog(path)
    assert path.read_bytes() == content


async def test_a_damaged_log_is_refused(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 2000, bytes(range(256)))
    content = bytearray(path.read_bytes())
    for page in range(3, len(content) // PAGE_BYTES - 3):
        content[page * PAGE_BYTES : page * PAGE_BYTES + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match=r"damaged|cannot be opened"):
        SqliteLog(path)


async def test_a_closed_log_takes_nothing_and_gives_nothing(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 1)
    with pytest.raises(BusUnavailable, match="Not handed over"):
        await log.publish(Record(b"", b"", b""))
    outcomes = await log.publish_all([Record(b"", b"", b"")] * 2)
    assert [str(outcome) for outcome in outcomes] == ["Not handed over, retry."] * 2
    assert await log.poll(10) == []


async def test_a_write_that_fails_is_said_and_is_there_not_at_all(path: Path) -> None:
    async with opened(path) as log:
        acknowledged = await publish(log, 1)
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT RAISE(FAIL, 'disk full'); END")
            with pytest.raises(BusUnavailable, match="could not be written or read: disk full"):
                await publish(log, 3)
            other.execute("DROP TRIGGER no")
        acknowledged += await publish(log, 1)
        assert [found.position for found in await log.poll(10)] == acknowledged


async def test_closing_finishes_what_is_being_written(path: Path) -> None:
    log = SqliteLog(path)
    publishing = [asyncio.create_task(log.publish(Record(b"key", b"{}", b"%d" % number))) for number in range(100)]
    await asyncio.sleep(0)
    await log.close()
    positions = await asyncio.gather(*publishing)
    async with opened(path) as again:
        assert [found.position for found in await again.poll(1000)] == positions


async def test_a_new_log_beside_an_old_store_gives_no_offset_that_the_store_has_seen(path: Path) -> None:
    async with opened(path) as log:
        await log.begin_after(17)
        (position,) = await publish(log, 1)
        assert position.offset == 18
        assert [delivery.position.offset for delivery in await log.poll(10)] == [18]
        await log.begin_after(18)


async def test_an_older_copy_of_the_log_is_refused(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 3)
        with pytest.raises(Misconfigured, match="ends at 3, but the store has seen 17"):
            await log.begin_after(17)


async def test_a_file_that_is_too_large_keeps_nothing_that_was_read(path: Path) -> None:
    async with opened(path) as log:
        await publish(log, 30, b"x" * 10_000)
        await read_all(log, 20)
        assert await log.prune(Retention(max_file_bytes=10**9)) == 0
        assert await log.prune(Retention(max_file_bytes=100_000)) == 20
        assert await log.waiting() == 10
