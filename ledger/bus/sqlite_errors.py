"""What an error of SQLite means for the log: wait and try again, or never touch the file again.

A failed fsync is never tried again. The operating system forgets the pages that it could not write, so that a second
fsync succeeds over data that are gone.
"""

import sqlite3
from pathlib import Path

from ledger.errors import BusBroken, BusUnavailable

_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CONSTRAINT,  # of these records, as is the next
        sqlite3.SQLITE_TOOBIG,
    }
)
"""Primary codes after which the file is as it was before. Every code that is not listed ends the process."""

_PASSING_IO = frozenset({sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_IOERR_SHMSIZE})
"""I/O errors that are none of the disk's: no memory, and no room for the index of the WAL, which is not kept."""


def sorted_by_remedy(error: sqlite3.Error, path: Path) -> BusUnavailable | BusBroken:
    """`BusUnavailable` when waiting or making room cures it, else `BusBroken`."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code in _PASSING_IO or code & 0xFF in _PASSING):
        return BusUnavailable(f"The log could not be written or read: {error}.")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return BusBroken(
        f"The log {path} failed: {error} ({name}). Nothing more is written to it. Look for errors of its disk in the"
        " system's log, and for free space and permissions; move the data folder to a sound disk if this one is not."
        " Then start again: what was acknowledged is read from the log."
    )
