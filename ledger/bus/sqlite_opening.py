"""Opening the log's file: one process at a time, durable commits, and no start on a file that is damaged."""

import fcntl
import os
import shutil
import sqlite3
from pathlib import Path

from ledger.bus.wal_frames import lost_commits
from ledger.errors import Misconfigured

PAGE_BYTES = 8192
"""Of a new file; an older one keeps its own. Every page of the WAL takes two writes and is copied once more at the
checkpoint: with twice the size a record of 3 KB costs 2 us less, a record alone in its commit 8 KiB more of the disk.
"""

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


_ADVICE = {
    "SQLITE_FULL": "Make room on its disk, then start again.",
    "SQLITE_READONLY": "Its file or disk is read-only: give write permission, then start again.",
    "SQLITE_CANTOPEN": "Look at the folder's permissions, then start again.",
}
"""What to do about errors that say nothing against the file itself."""


def lock(path: Path) -> int:
    """The descriptor of a lock that the process's end lets go of. Raises `Misconfigured` when another one has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Misconfigured(f"The log {path} is in use by another process.") from None
    return descriptor


def open_writer(path: Path, synchronous: str, schema: str = _SCHEMA) -> sqlite3.Connection:
    """The one connection that writes and checkpoints. Raises `Misconfigured` when the file cannot be trusted."""
    _refuse_damaged_wal(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, synchronous)
        connection.executescript(schema)
        _check_end(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        advice = _ADVICE.get(name) or _advice(path)
        raise Misconfigured(f"The log {path} cannot be opened: {error} ({name}). {advice}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that never writes or checkpoints."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def resume_at(connection: sqlite3.Connection) -> int:
    """Where reading goes on."""
    (found,) = connection.execute("SELECT resume_at FROM progress").fetchone()
    return int(found)


def page_bytes(connection: sqlite3.Connection) -> int:
    """The size of the file's pages."""
    (found,) = connection.execute("PRAGMA page_size").fetchone()
    return int(found)


def _prepare(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    path.chmod(0o600)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync does not reach the disk there
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # it would keep a commit's senders waiting
    found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise Misconfigured(f"The log {path} is damaged: {'; '.join(found)[:500]}. {_advice(path)}")
    wal, kept = path.with_name(f"{path.name}-wal"), _damaged_wal(path)
    if lost_commits(wal, _frames_in_use(connection), page_bytes(connection)):
        shutil.copyfile(wal, kept)  # closing the connection removes the WAL itself
    _refuse_damaged_wal(path)


def _damaged_wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal.damaged")


def _refuse_damaged_wal(path: Path) -> None:
    kept = _damaged_wal(path)
    if kept.exists():
        raise Misconfigured(
            f"The newest part of the log {path} was found damaged in its middle, and what was acknowledged behind the"
            f" damage cannot be read. It is kept as {kept}. Put a backup back, or move that file away to go on without"
            " these records; what is stored of them already stays."
        )


def _frames_in_use(connection: sqlite3.Connection) -> int:
    """How many frames of the WAL SQLite takes as whole. A passive checkpoint loses nothing of them."""
    _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(frames)


def _check_end(writer: sqlite3.Connection, path: Path) -> None:
    begin = resume_at(writer)
    last = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    end = last[0] + 1 if last else 1
    if begin > end:
        raise Misconfigured(
            f"The log {path} ends before what was already read ({end} < {begin}): it is not the file that was in"
            " use. Put the right one back."
        )


def _advice(path: Path) -> str:
    return (
        f"Copy {path}* to a safe place first. Then put a backup back, or read what can be read with"
        f" `sqlite3 {path} .recover`, or move the files away: a new log begins after what is stored. Reports that were"
        " accepted and not yet stored are in these files only."
    )
