"""What needs no other part: the program's own versions, and the key file."""

import platform
import sqlite3
import stat
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from ledger.doctor import Finding, ok, problem, warning
from ledger.errors import LedgerError
from ledger.keys import read_content

_PARTS = ("aiokafka", "faststream", "clickhouse-connect", "chdb", "litestar")


def version_findings() -> list[Finding]:
    """Which versions run here."""
    parts = ", ".join(f"{name} {version(name)}" for name in _PARTS)
    sqlite = f"SQLite {sqlite3.sqlite_version}"
    return [ok("versions", f"llmledger {version('llmledger')}, Python {platform.python_version()}, {sqlite}, {parts}.")]


def key_file_findings(path: Path) -> list[Finding]:
    """Whether the key file can be read, by whom, and what is in it."""
    try:
        content = read_content(path)
    except LedgerError as error:
        return [problem("keys", str(error), "Restore it from a backup: it also holds the projects' id secrets.")]
    return [*_readers(path), ok("keys", f"{len(content.keys)} keys of {len(content.projects)} projects.")]


def _readers(path: Path) -> Iterator[Finding]:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning("keys", f"Others on this machine may read {path}.", f"Run: chmod 600 {path}")
