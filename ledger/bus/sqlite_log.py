"""An append-only log in one SQLite file: the bus of the standalone mode.

A record is durable when `publish` returns. After a crash or a power cut everything acknowledged is there, in order; a
record that was being written is there whole or not at all. All that wait are committed together: one fsync for many.

One connection writes and checkpoints, in one thread; another one only reads. SQLite before 3.51.3 can corrupt its log
when two connections checkpoint and write at once, so there must never be a second writer: the file is locked.

A full disk is waited for. After an error that waiting does not cure (`BusBroken`) the file is not touched again.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from ledger.bus import Delivery, Position, Record
from ledger.bus.group_commit import NOT_HANDED_OVER, GroupCommit
from ledger.bus.replays import delivery_at
from ledger.bus.sqlite_errors import sorted_by_remedy
from ledger.bus.sqlite_opening import lock, open_reader, open_writer, page_bytes, resume_at
from ledger.errors import BusBroken, BusUnavailable, LedgerError, Misconfigured
from ledger.failpoints import failpoint

T = TypeVar("T")

GENERATION = 1
MAX_COMMIT_BYTES = 64 * 1024 * 1024  # of bodies, which are all that can be large
MAX_POLL_BYTES = 64 * 1024 * 1024
CHECKPOINT_BYTES = 16 * 1024 * 1024  # about how much of the WAL makes a checkpoint due
PRUNE_ROWS = 2000
_ROWS_AT_ONCE = 64
_PAGES_OF_A_COMMIT = 3  # beside the records themselves: the inner pages, the sequence

log = logging.getLogger(__name__)


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
        self._lock = lock(path)
        try:
            self._writer = open_writer(path, synchronous)
            self._reader = open_reader(path)
        except BaseException:
            os.close(self._lock)
            raise
        self._next = resume_at(self._writer)
        self._writer_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")
        self._reader_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-reader")
        self._arrived = asyncio.Event()
        self._closed = False
        self._broken: BusBroken | None = None
        self._broke = asyncio.Event()
        self._page_bytes = page_bytes(self._writer)
        self._wal_bytes = 0  # about how many were written since the last checkpoint
        self._checkpointing: asyncio.Task[None] | None = None
        self._appending: GroupCommit[Record, Position] = GroupCommit(
            self._append_in_thread,
            max_bytes=MAX_COMMIT_BYTES,
            deadline=deadline_seconds,
        )

    async def start(self) -> None:
        """The file is open already; nothing to connect to."""

    async def publish(self, record: Record) -> Position:
        """Return once the record is on disk. Raises `BusUnavailable` when the disk refused or the deadline passed."""
        (position,) = await self._submit((record,), len(record.body))
        return position

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """The same for all of them together: all are on disk, or none is."""
        if not records:
            return []
        try:
            return [*await self._submit(records, sum([len(record.body) for record in records]))]
        except LedgerError as error:
            return [error] * len(records)

    async def broadcast(self, record: Record) -> list[Position]:
        """The same: there is one partition."""
        return [await self.publish(record)]

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

    async def until_broken(self) -> NoReturn:
        """Wait until the file has failed for good, and raise that `BusBroken`. Then the process should end."""
        await self._broke.wait()
        assert self._broken is not None
        raise self._broken

    async def behind(self, offset: int, limit: int) -> Sequence[Delivery]:
        """The `limit` records before this offset that are still there, without their bodies, in order."""
        return await self._in(self._reader_thread, self._read_behind, offset, limit)

    async def read_again_from(self, offset: int) -> None:
        """Move the reader back, durably: `poll` gives the records from here on once more."""
        await self._in(self._writer_thread, self._move_back, offset)
        self._next = min(self._next, offset)

    @property
    def next_offset(self) -> int:
        """Where the next `poll` begins."""
        return self._next

    async def waiting(self) -> int:
        """How many records were published and are not committed by the reader."""
        return await self._in(self._reader_thread, self._count_waiting)

    async def close(self) -> None:
        """Finish what is being written, let a waiting `poll` return, close the file. Raises `BusBroken`."""
        self._closed = True
        await self._appending.until_idle()
        self._arrived.set()
        if self._checkpointing is not None:
            await asyncio.wait([self._checkpointing])
        self._reader_thread.shutdown(wait=True)
        self._reader.close()  # before the writer: the last connection to close checkpoints
        try:
            await self._close_writer()
        finally:
            self._writer_thread.shutdown(wait=True)
            os.close(self._lock)

    async def _close_writer(self) -> None:
        if self._broken is None:
            with contextlib.suppress(BusUnavailable):  # no room: the WAL stays and is read at the next start
                await self._in(self._writer_thread, self._checkpoint, "TRUNCATE")
        if self._broken is None:
            await self._in(self._writer_thread, self._writer.close)
        elif sys.version_info >= (3, 12):
            self._writer.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            self._writer.close()
        # else: closing would write to the file that failed, so the process's end does it

    def _submit(self, records: Sequence[Record], size: int) -> asyncio.Future[Sequence[Position]]:
        if self._closed:
            raise BusUnavailable(NOT_HANDED_OVER)
        return self._appending.submit(records, size)

    async def _append_in_thread(self, records: Sequence[Record]) -> list[Position]:
        try:
            offsets = await self._in(self._writer_thread, self._append, records)
        except BusBroken as error:
            raise BusUnavailable("The log's disk has failed; not confirmed.") from error
        self._arrived.set()
        if self._wal_bytes >= CHECKPOINT_BYTES and self._checkpointing is None:
            self._checkpointing = asyncio.create_task(self._checkpoint_passively())
        return [Position(GENERATION, 0, offset) for offset in offsets]

    async def _checkpoint_passively(self) -> None:
        """Behind the answers of the commit that made it due."""
        try:
            await self._in(self._writer_thread, self._checkpoint, "PASSIVE")
        except BusUnavailable as error:
            log.warning("The log's WAL could not be moved into it yet.", extra={"error": str(error)})
        except BusBroken:
            log.error("The log has failed.", extra={"path": str(self._path)})  # `until_broken` raises it
        finally:
            self._checkpointing = None

    async def _in(self, thread: ThreadPoolExecutor, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(thread, self._guarded, loop, function, *arguments)

    def _guarded(self, loop: asyncio.AbstractEventLoop, function: Callable[..., T], *arguments: object) -> T:
        """The function's result; nothing is tried any more once the file has failed, whoever noticed it."""
        if self._broken is not None:
            raise self._broken
        try:
            return function(*arguments)
        except sqlite3.Error as error:
            remedy = sorted_by_remedy(error, self._path)
            if isinstance(remedy, BusBroken):
                self._broken = remedy
                loop.call_soon_threadsafe(self._tell_broken)
            raise remedy from error

    def _tell_broken(self) -> None:
        self._broke.set()
        self._arrived.set()  # a waiting `poll` finds out

    def _checkpoint(self, mode: str) -> None:
        """Move the WAL into the file. What readers still need stays behind and counts towards the next time."""
        _, pages, moved = self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        self._wal_bytes = max(0, pages - moved) * self._page_bytes

    def _append(self, records: Sequence[Record]) -> range:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            for at in range(0, len(records), _ROWS_AT_ONCE):
                self._insert(records[at : at + _ROWS_AT_ONCE])
            (last,) = self._writer.execute("SELECT last_insert_rowid()").fetchone()
            failpoint("C1")
        self._wal_bytes += _PAGES_OF_A_COMMIT * self._page_bytes + sum([len(record.body) for record in records])
        failpoint("C2")
        return range(last - len(records) + 1, last + 1)

    def _insert(self, records: Sequence[Record]) -> None:
        """In one statement: a row of its own each would give the interpreter's lock away for every row."""
        values = [(record.key, record.envelope, record.body, _headers_to_blob(record.headers)) for record in records]
        rows = ", ".join(["(?, ?, ?, ?)"] * len(values))
        self._writer.execute(f"INSERT INTO records (key, envelope, body, headers) VALUES {rows}", [*chain(*values)])

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
        self._wal_bytes += self._page_bytes

    def _move_back(self, offset: int) -> None:
        with self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("UPDATE progress SET resume_at = min(resume_at, ?)", (offset,))

    def _read_behind(self, offset: int, limit: int) -> list[Delivery]:
        rows = self._reader.execute(
            "SELECT offset, key, envelope, headers FROM records WHERE offset < ? ORDER BY offset DESC LIMIT ?",
            (offset, limit),
        ).fetchall()
        return [
            delivery_at(Position(GENERATION, 0, at), key, envelope, None, _headers_from_blob(headers))
            for at, key, envelope, headers in reversed(rows)
        ]

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
        self._wal_bytes += deleted.rowcount * self._page_bytes
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


_headers = msgspec.json.Decoder(tuple[tuple[str, bytes], ...])


def _headers_to_blob(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    return msgspec.json.encode(headers) if headers else None


def _headers_from_blob(blob: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return _headers.decode(blob) if blob else ()
