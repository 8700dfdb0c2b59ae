"""An append-only log in one SQLite file: the bus of the standalone mode.

A record is durable when `publish` returns. After a crash or a power cut everything acknowledged is there, in order; a
record that was being written is there whole or not at all. All that wait are committed together: one fsync for many.

One connection writes and checkpoints, in one thread; another one only reads. SQLite before 3.51.3 can corrupt its log
when two connections checkpoint and write at once, so there must never be a second writer: the file is locked.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from ledger.bus import Delivery, Position, Record
from ledger.bus.group_commit import GroupCommit
from ledger.bus.replays import delivery_at
from ledger.errors import BusUnavailable, Misconfigured
from ledger.failpoints import failpoint

T = TypeVar("T")

GENERATION = 1
MAX_COMMIT_BYTES = 64 * 1024 * 1024
MAX_POLL_BYTES = 64 * 1024 * 1024
CHECKPOINT_PAGES = 4000  # of 4 KiB: a checkpoint about every 16 MiB, by the writing connection alone
PRUNE_ROWS = 2000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    offset INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: an emptied log never gives an old offset again
    key BLOB NOT NULL, envelope BLOB NOT NULL, body BLOB NOT NULL,
    headers BLOB,  -- further headers, JSON with base64 values; NULL when there are none, as with nearly every record
    published_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), resume_at INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO progress VALUES (1, 1);
"""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept behind the reader: records younger than `seconds`, at most `max_rows`, while the file is small."""

    seconds: float = 24 * 3600.0
    max_rows: int = 200_000
    max_file_bytes: int = 2 * 1024**3  # of pages in use; beyond it nothing that was read is kept


class SqliteLog:
    """Publisher and source over one file. `open` it once per process; the file is locked while it is open."""

    def __init__(self, path: Path, *, deadline_seconds: float = 5.0, synchronous: str = "FULL") -> None:
        self._path = path
        self._lock = _lock(path)
        try:
            self._writer = _open_writer(path, synchronous)
            self._reader = _open_reader(path)
        except BaseException:
            os.close(self._lock)
            raise
        self._next = _resume_at(self._writer)
        self._writer_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")
        self._reader_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-reader")
        self._arrived = asyncio.Event()
        self._closed = False
        self._appending: GroupCommit[Record, Position] = GroupCommit(
            self._append_in_thread,
            size=lambda record: len(record.body),
            max_bytes=MAX_COMMIT_BYTES,
            deadline=deadline_seconds,
        )

    async def start(self) -> None:
        """The file is open already; nothing to connect to."""

    async def publish(self, record: Record) -> Position:
        """Return once the record is on disk. Raises `BusUnavailable` when the disk refused or the deadline passed."""
        if self._closed:
            raise BusUnavailable("Not handed over, retry.")
        return await self._appending.submit(record)

    async def poll(self, limit: int) -> Sequence[Delivery]:
        """Up to `limit` further deliveries; waits for the first one, empty once closed. Safe to cancel."""
        while not self._closed:
            self._arrived.clear()
            found = await self._in(self._reader_thread, self._read, self._next, limit, MAX_POLL_BYTES)
            if found:
                self._next = found[-1].read_at.offset + 1
                return found
            await self._arrived.wait()
        return []

    async def commit(self, resume_at: dict[int, int]) -> None:
        """From now on a reopened log is read from here; durable on return."""
        await self._in(self._writer_thread, self._move, resume_at[0])

    async def begin_after(self, offset: int) -> None:
        """Make sure that no offset up to this one, the highest that the store knows, is ever given again.

        A log that was never written to begins after it. Raises `Misconfigured` when one with records ends before it.
        """
        await self._in(self._writer_thread, self._begin_after, offset)

    async def prune(self, retention: Retention) -> int:
        """Delete what was read and is past its retention, a few thousand rows at a time; the number deleted."""
        return await self._in(self._writer_thread, self._prune, retention)

    async def waiting(self) -> int:
        """How many records were published and are not committed by the reader."""
        return await self._in(self._reader_thread, self._count_waiting)

    async def close(self) -> None:
        """Finish what is being written, let a waiting `poll` return, close the file."""
        self._closed = True
        await self._appending.close()
        self._arrived.set()
        self._reader_thread.shutdown(wait=True)
        self._reader.close()  # before the writer: the last connection to close checkpoints
        await self._in(self._writer_thread, self._writer.close)
        self._writer_thread.shutdown(wait=True)
        os.close(self._lock)

    async def _append_in_thread(self, records: Sequence[Record]) -> list[Position]:
        try:
            offsets = await self._in(self._writer_thread, self._append, records)
        except sqlite3.Error as error:
            raise BusUnavailable(f"The log could not be written: {error}") from error
        self._arrived.set()
        return [Position(GENERATION, 0, offset) for offset in offsets]

    async def _in(self, thread: ThreadPoolExecutor, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)

    def _append(self, records: Sequence[Record]) -> range:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(
                "INSERT INTO records (key, envelope, body, headers) VALUES (?, ?, ?, ?)",
                [(record.key, record.envelope, record.body, _headers_to_blob(record.headers)) for record in records],
            )
            (last,) = self._writer.execute("SELECT last_insert_rowid()").fetchone()
            failpoint("C1")
        failpoint("C2")
        return range(last - len(records) + 1, last + 1)

    def _read(self, start: int, limit: int, max_bytes: int) -> list[Delivery]:
        rows = self._reader.execute(
            "SELECT offset, key, envelope, body, headers FROM records WHERE offset >= ? ORDER BY offset LIMIT ?",
            (start, limit),
        )
        found: list[Delivery] = []
        for offset, key, envelope, body, headers in rows:
            place = Position(GENERATION, 0, offset)
            found.append(delivery_at(place, key, envelope, body, _headers_from_blob(headers)))
            max_bytes -= len(body)
            if max_bytes <= 0:
                break
        rows.close()
        return found

    def _move(self, resume_at: int) -> None:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("UPDATE progress SET resume_at = max(resume_at, ?)", (resume_at,))

    def _begin_after(self, offset: int) -> None:
        found = self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        last = found[0] if found else 0
        if last >= offset:
            return
        if last:
            raise Misconfigured(
                f"The log {self._path} ends at {last}, but the store has seen {offset}: one of them was put back from"
                " an older copy. Put the one that fits back, or move the log away to begin a new one after the store."
            )
        with self._writer:
            self._writer.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('records', ?)", (offset,))
            self._writer.execute("UPDATE progress SET resume_at = max(resume_at, ?)", (offset + 1,))
        self._next = max(self._next, offset + 1)

    def _prune(self, retention: Retention) -> int:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            deleted = self._writer.execute(
                "DELETE FROM records WHERE offset IN (SELECT offset FROM records"
                " WHERE offset < (SELECT resume_at FROM progress) AND (published_at < unixepoch() - ?"
                " OR offset < (SELECT resume_at FROM progress) - ? OR ?) ORDER BY offset LIMIT ?)",
                (retention.seconds, retention.max_rows, self._bytes_in_use() > retention.max_file_bytes, PRUNE_ROWS),
            )
            failpoint("C6")
            return deleted.rowcount

    def _bytes_in_use(self) -> int:
        pages, free, size = (
            self._writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _count_waiting(self) -> int:
        (count,) = self._reader.execute(
            "SELECT count(*) FROM records WHERE offset >= (SELECT resume_at FROM progress)"
        ).fetchone()
        return int(count)


def _lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Misconfigured(f"The log {path} is in use by another process.") from None
    return descriptor


def _open_writer(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync does not reach the disk there
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise Misconfigured(f"The log {path} is damaged.")
        connection.executescript(_SCHEMA)
        _check_end(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Misconfigured(f"The log {path} cannot be opened: {error}.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _resume_at(writer: sqlite3.Connection) -> int:
    (resume_at,) = writer.execute("SELECT resume_at FROM progress").fetchone()
    return int(resume_at)


def _check_end(writer: sqlite3.Connection, path: Path) -> None:
    resume_at = _resume_at(writer)
    last = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    end = last[0] + 1 if last else 1
    if resume_at > end:
        raise Misconfigured(
            f"The log {path} ends before what was already read ({end} < {resume_at}): it is not the file that was in"
            " use. Put the right one back."
        )


def _open_reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


_headers = msgspec.json.Decoder(tuple[tuple[str, bytes], ...])


def _headers_to_blob(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    return msgspec.json.encode(headers) if headers else None


def _headers_from_blob(blob: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return _headers.decode(blob) if blob else ()
