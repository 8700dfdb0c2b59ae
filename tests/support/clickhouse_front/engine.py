"""The chDB engine behind the front: one data folder, one handle a statement, so no setting outlives its statement."""

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chdb._exceptions import ChdbError  # `chdb.ChdbError` is another class, which queries never raise
from chdb.state import connect
from chdb.state.sqlitelike import Connection

from tests.support.clickhouse_front.errors import UNKNOWN_SETTING, from_engine, refused
from tests.support.clickhouse_front.messages import Request
from tests.support.clickhouse_front.statements import InlineInsert, answer_format, inline_insert, refuse_several

_SETTING_NAME = re.compile(r"[A-Za-z_]\w*")
_STATEMENTS_AT_ONCE = 16
_CLOSING_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered; `format_name` is None for a statement that has no rows to give."""

    body: bytes
    format_name: str | None
    timezone: str
    summary: Mapping[str, str]


class Engine:
    """Runs statements, several at once. A process can have one, and a folder only one in all processes."""

    def __init__(self, folder: Path) -> None:
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)  # what a killed process left there
        self._incoming.mkdir(mode=0o700, parents=True)
        self._location = str((folder / "data").resolve())
        self._slots = threading.BoundedSemaphore(_STATEMENTS_AT_ONCE)
        self._keeper = connect(self._location)  # the engine lives as long as a handle is open
        self._timezone = _query(self._keeper, b"SELECT timezone()", "TabSeparated").bytes().decode().strip()

    def run(self, request: Request) -> Answer:
        """Run one statement under its own settings; what the engine refuses is a StatementError with its code."""
        with self._slots, self._handle(request) as handle:
            insert = inline_insert(request.sql)
            if insert is not None:
                return self._insert(handle, insert, request)
            refuse_several(request.sql)
            result = _query(handle, request.sql, request.default_format, request.parameters)
            return self._answer(result, answer_format(request.sql, request.default_format), request)

    def close(self) -> None:
        """Wait a little for running statements, then let go of the folder."""
        until = time.monotonic() + _CLOSING_WAIT_SECONDS
        for _ in range(_STATEMENTS_AT_ONCE):
            self._slots.acquire(timeout=max(0.0, until - time.monotonic()))
        self._keeper.close()

    def _insert(self, handle: Connection, insert: InlineInsert, request: Request) -> Answer:
        with tempfile.NamedTemporaryFile(dir=self._incoming) as file:
            file.write(insert.data)
            file.flush()
            infile = f" FROM INFILE {_quoted(file.name)} ".encode()
            sql = insert.into + infile + insert.settings + f" FORMAT {insert.format_name}".encode()
            return self._answer(_query(handle, sql, "TabSeparated", request.parameters), None, request)

    @contextmanager
    def _handle(self, request: Request) -> Iterator[Connection]:
        handle = connect(self._location)
        try:
            if request.database != "default":
                _query(handle, f"USE `{request.database.replace('`', '``')}`".encode(), "TabSeparated")
            if request.settings:
                _query(handle, _set_statement(request.settings).encode(), "TabSeparated")
            yield handle
        finally:
            handle.close()

    def _answer(self, result: Any, format_name: str | None, request: Request) -> Answer:
        body: bytes = result.bytes()
        return Answer(
            body=body,
            format_name=format_name or (request.default_format if body else None),
            timezone=request.settings.get("session_timezone") or self._timezone,
            summary={
                "read_rows": str(result.storage_rows_read()),
                "read_bytes": str(result.storage_bytes_read()),
                "written_rows": str(result.rows_written()),
                "written_bytes": str(result.bytes_written()),
                "result_rows": str(result.rows_read()),
                "result_bytes": str(result.bytes_read()),
                "elapsed_ns": str(int(result.elapsed() * 1e9)),
            },
        )


def _query(handle: Connection, sql: bytes, answer_in: str, parameters: Mapping[str, str] | None = None) -> Any:
    statement: Any = sql  # typed as text, but bytes are taken too: a statement need not be UTF-8
    try:
        return handle.query(statement, answer_in, params=dict(parameters or {}))
    except ChdbError as error:
        raise from_engine(str(error)) from error


def _set_statement(settings: Mapping[str, str]) -> str:
    """One SET for all: the engine checks all names before it applies any, so `readonly` does not hinder the others."""
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise refused(UNKNOWN_SETTING, f"Unknown setting {name!r}. (UNKNOWN_SETTING)")
    return "SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
