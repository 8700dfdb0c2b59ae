"""The SQLite log when its disk does not do as it should: what is waited for, what ends it, what a start notices."""

import asyncio
import shutil
import sqlite3
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from ledger.bus import Position, Record, committable
from ledger.bus.sqlite_errors import sorted_by_remedy
from ledger.bus.sqlite_log import CHECKPOINT_BYTES, SqliteLog
from ledger.bus.sqlite_opening import PAGE_BYTES
from ledger.errors import BusBroken, BusUnavailable, Misconfigured

FRAME_BYTES = 24 + PAGE_BYTES
OLD_FRAME_BYTES = 24 + 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteLog]:
    log = SqliteLog(path, deadline_seconds=60.0)
    try:
        yield log
    finally:
        await log.close()


def a_record(size: int = 100) -> Record:
    return Record(b"key", b"{}", bytes(size))


async def published(log: SqliteLog, count: int, size: int = 100) -> list[Position]:
    """One after the other, so that each is a commit of its own."""
    return [await log.publish(a_record(size)) for _ in range(count)]


def wal_of(path: Path) -> Path:
    return path.with_name("log.sqlite-wal")


def crashed(path: Path) -> Path:
    """The files as a crash would leave them, at another place."""
    copy = path.parent / "crashed" / path.name
    copy.parent.mkdir()
    for file in (path, wal_of(path)):
        shutil.copyfile(file, copy.with_name(file.name))
    return copy


async def offsets_on(path: Path) -> list[int]:
    async with opened(path) as log:
        return [found.position.offset for found in await log.behind(2**40, 10_000)]


async def test_a_full_disk_is_waited_for_and_goes_on_once_there_is_room(path: Path) -> None:
    async with opened(path) as log:
        before = await published(log, 1)
        (pages,) = log._writer.execute("PRAGMA page_count").fetchone()
        log._writer.execute(f"PRAGMA max_page_count = {pages}")  # what a full disk is to SQLite
        with pytest.raises(BusUnavailable, match="is full"):
            await published(log, 1, size=100_000)
        together = await log.publish_all([a_record(), a_record(100_000)])
        assert [type(outcome) for outcome in together] == [BusUnavailable] * 2  # neither is there
        log._writer.execute(f"PRAGMA max_page_count = {2**30}")
        after = await published(log, 1, size=100_000)
        assert [found.position for found in await log.poll(10)] == before + after


async def test_after_an_error_that_waiting_does_not_cure_nothing_more_is_written(path: Path) -> None:
    async with opened(path) as log:
        await published(log, 1)
        log._writer.execute("PRAGMA query_only = ON")  # SQLITE_READONLY, as on a disk that went read-only
        watching = asyncio.create_task(log.until_broken())
        with pytest.raises(BusUnavailable, match="disk has failed"):
            await published(log, 1)
        with pytest.raises(BusBroken, match=r"log\.sqlite failed: .*SQLITE_READONLY.*start again"):
            await watching
        log._writer.execute("PRAGMA query_only = OFF")
        with pytest.raises(BusUnavailable, match="disk has failed"):
            await published(log, 1)
        with pytest.raises(BusBroken):
            await log.commit({0: 2})
        with pytest.raises(BusBroken):
            await log.poll(10)
    assert await offsets_on(path) == [1]


async def test_a_poll_that_waits_learns_that_the_file_has_failed(path: Path) -> None:
    async with opened(path) as log:
        waiting = asyncio.create_task(log.poll(10))
        await asyncio.sleep(0)
        log._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(BusUnavailable):
            await published(log, 1)
        with pytest.raises(BusBroken):
            await waiting


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("SQLITE_FULL", BusUnavailable),
        ("SQLITE_BUSY", BusUnavailable),
        ("SQLITE_BUSY_SNAPSHOT", BusUnavailable),
        ("SQLITE_NOMEM", BusUnavailable),
        ("SQLITE_IOERR_SHMSIZE", BusUnavailable),
        ("SQLITE_IOERR", BusBroken),
        ("SQLITE_IOERR_FSYNC", BusBroken),
        ("SQLITE_IOERR_WRITE", BusBroken),
        ("SQLITE_IOERR_SHORT_READ", BusBroken),
        ("SQLITE_CORRUPT", BusBroken),
        ("SQLITE_NOTADB", BusBroken),
        ("SQLITE_READONLY", BusBroken),
        ("SQLITE_CANTOPEN", BusBroken),
        ("SQLITE_MISUSE", BusBroken),
    ],
)
def test_errors_are_sorted_by_their_code(name: str, remedy: type[Exception], path: Path) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    assert isinstance(sorted_by_remedy(error, path), remedy)


def test_an_error_without_a_code_ends_the_process(path: Path) -> None:
    assert isinstance(sorted_by_remedy(sqlite3.ProgrammingError("closed"), path), BusBroken)


async def test_the_wal_is_moved_into_the_file_by_the_writer_and_stays_small(path: Path) -> None:
    async with opened(path) as log:
        for _ in range(3 * CHECKPOINT_BYTES // 1_000_000):
            await published(log, 1, size=1_000_000)
        assert wal_of(path).stat().st_size < 2 * CHECKPOINT_BYTES
        assert path.stat().st_size > CHECKPOINT_BYTES
    assert not wal_of(path).exists()


async def test_a_torn_end_of_the_wal_takes_no_committed_record_with_it(path: Path) -> None:
    async with opened(path) as log:
        positions = await published(log, 20)
        copy = crashed(path)
    wal = wal_of(copy)
    wal.write_bytes(wal.read_bytes()[: -FRAME_BYTES // 2])
    assert await offsets_on(copy) == [position.offset for position in positions[:-1]]


async def test_frames_of_a_write_that_was_torn_in_its_middle_are_no_damage(path: Path) -> None:
    async with opened(path) as log:
        positions = await published(log, 3)
        before = wal_of(path).stat().st_size
        await published(log, 1, size=50_000)
        copy = crashed(path)
    with wal_of(copy).open("r+b") as file:
        file.seek(before + FRAME_BYTES + 100)  # the last frame, with its commit, reached the disk; this one did not
        file.write(b"\xff" * 500)
    assert await offsets_on(copy) == [position.offset for position in positions]


@pytest.mark.parametrize("place", [30, 2 * FRAME_BYTES + 200])
async def test_damage_in_the_middle_of_the_wal_is_refused_until_somebody_decides(path: Path, place: int) -> None:
    async with opened(path) as log:
        await published(log, 20)
        copy = crashed(path)
    content = bytearray(wal_of(copy).read_bytes())
    content[place] ^= 0xFF
    wal_of(copy).write_bytes(content)
    kept = copy.with_name("log.sqlite-wal.damaged")
    for _ in range(2):
        with pytest.raises(Misconfigured, match=r"damaged in its middle.*wal\.damaged.*backup"):
            SqliteLog(copy)
        assert kept.read_bytes() == content
    kept.unlink()
    assert len(await offsets_on(copy)) < 20


async def test_a_file_of_an_earlier_page_size_is_kept_as_it_is_and_guarded_alike(path: Path) -> None:
    with closing(sqlite3.connect(path)) as before:
        before.execute("PRAGMA page_size = 4096")
        before.execute("CREATE TABLE made_earlier (at INTEGER)")
    async with opened(path) as log:
        positions = await published(log, 20, size=3000)
        copy = crashed(path)
    assert (wal_of(copy).stat().st_size - 32) % OLD_FRAME_BYTES == 0
    whole = wal_of(copy).read_bytes()
    wal_of(copy).write_bytes(whole[: -OLD_FRAME_BYTES // 2])
    assert await offsets_on(copy) == [position.offset for position in positions[:-1]]
    shutil.rmtree(copy.parent)
    async with opened(path) as log:
        await published(log, 20, size=3000)
        copy = crashed(path)
    content = bytearray(wal_of(copy).read_bytes())
    content[30] ^= 0xFF  # the header, which says how large the pages are
    wal_of(copy).write_bytes(content)
    with pytest.raises(Misconfigured, match="damaged in its middle"):
        SqliteLog(copy)


async def test_a_wal_that_was_begun_anew_over_an_older_one_is_sound(path: Path) -> None:
    async with opened(path) as log:
        await published(log, 1, size=CHECKPOINT_BYTES + 4096)
        while log._checkpointing is not None:
            await asyncio.wait([log._checkpointing])
        positions = await published(log, 3)
        copy = crashed(path)
    assert struct.unpack(">I", wal_of(copy).read_bytes()[12:16])[0] == 1, "the WAL was not begun anew"
    assert await offsets_on(copy) == [1, *(position.offset for position in positions)]


async def test_a_damaged_file_says_what_to_do(path: Path) -> None:
    async with opened(path) as log:
        await published(log, 300, size=1000)
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // PAGE_BYTES):
            file.seek(page * PAGE_BYTES)
            file.write(bytes(100))
    with pytest.raises(
        Misconfigured, match=r"(?s)log\.sqlite.*Copy .* first\..*backup.*\.recover.*move the files away"
    ):
        SqliteLog(path)


async def test_what_lies_behind_the_reader_can_be_looked_at_and_read_again(path: Path) -> None:
    async with opened(path) as log:
        positions = await published(log, 5)
        found = await log.poll(4)
        await log.commit(committable(found))
        assert log.next_offset == positions[4].offset
        behind = await log.behind(log.next_offset, 3)
        assert [(at.read_at, at.envelope, at.body) for at in behind] == [(at, b"{}", None) for at in positions[1:4]]
        await log.read_again_from(positions[2].offset)
        assert [again.position for again in await log.poll(10)] == positions[2:]
    async with opened(path) as log:
        assert [again.position for again in await log.poll(10)] == positions[2:]


async def test_a_commit_that_the_disk_had_no_room_for_can_be_tried_again(path: Path) -> None:
    async with opened(path) as log:
        await published(log, 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("CREATE TRIGGER full BEFORE UPDATE ON progress BEGIN SELECT RAISE(FAIL, 'full'); END")
            with pytest.raises(BusUnavailable):
                await log.commit({0: 2})
            other.execute("DROP TRIGGER full")
        await log.commit({0: 2})
        assert await log.waiting() == 0
