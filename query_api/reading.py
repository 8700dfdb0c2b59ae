"""Statements → rows: the only module that talks to the store. Every statement runs read-only and under the caps.

What costs too much is told apart by the engine's error code and becomes `TooExpensive`; all other failures are sorted
by the pool.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, from_int, to_int
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool
from ledger.store.columns import ROW_COLUMNS, TIME, row_from, select_list, time_text
from query_api.errors import TooExpensive

TOO_LONG = frozenset({159, 160})
TOO_LARGE = frozenset({396})
TOO_EXPENSIVE = TOO_LONG | TOO_LARGE | frozenset({158, 191, 241, 307})
"""Codes of time, result, rows, set, memory and bytes beyond a cap."""

KEYS_PER_LOOK_UP = 1000
"""So many keys fit in one statement: a server takes at most 128 KiB per bound value."""

KEY_LIST = "project, toUnixTimestamp64Milli(created_at) AS created_at_ms, id"


class Reader:
    """Asks the store. Every method raises `TooExpensive`, `StoreUnavailable` or `StoreBroken`."""

    def __init__(self, pool: ClickHousePool, caps: QueryCaps) -> None:
        self._pool = pool
        self._caps = caps

    async def rows(self, statement: Statement, extra: Mapping[str, object] | None = None) -> Sequence[Sequence[Any]]:
        """What the statement finds; `extra` are further settings of the engine."""
        settings = {
            "max_execution_time": self._caps.max_seconds,
            "max_memory_usage": self._caps.max_memory_bytes,
            **(extra or {}),
        }
        try:
            return await self._pool.run(lambda client: _query(client, statement, settings))
        except _PastACap as error:
            raise TooExpensive(self._advice(error.code)) from error

    async def ping(self) -> None:
        """Return if the store answers."""
        await self.rows(Statement("SELECT 1", {}))

    async def count(self, statement: Statement) -> int:
        """The one number that the statement finds."""
        found = await self.rows(statement)
        return int(found[0][0])

    async def keys(self, statement: Statement) -> list[RowKey]:
        """The keys that a statement on `KEY_LIST` finds, in its order."""
        return [_key(values) for values in await self.rows(statement)]

    async def logs(self, keys: Sequence[RowKey]) -> dict[RowKey, RequestLog]:
        """The current light columns of each key that has a row."""
        found: dict[RowKey, RequestLog] = {}
        for chunk in _chunks(keys):
            statement = _of_keys(select_list(ROW_COLUMNS), "request_logs", chunk)
            found |= {log.key: log for log in map(row_from, await self.rows(statement))}
        return {key: found[key] for key in keys if key in found}

    async def bodies(self, keys: Sequence[RowKey], names: Sequence[str]) -> dict[RowKey, Bodies]:
        """These heavy columns of each key; all of them together stay below `max_answer_bytes`."""
        found: dict[RowKey, Bodies] = {}
        left = self._caps.max_answer_bytes
        for chunk in _chunks(keys):
            statement = _of_keys(f"{KEY_LIST}, {', '.join(names)}", "request_bodies", chunk)
            for values in await self.rows(statement, {"max_result_bytes": left, "result_overflow_mode": "throw"}):
                left -= sum(len(text.encode()) for text in values[3:] if text is not None)
                found[_key(values)] = Bodies(**dict(zip(names, values[3:], strict=True)))
            if left <= 0:
                raise TooExpensive(self._advice(396))
        return found

    def _advice(self, code: int) -> str:
        if code in TOO_LARGE:
            return f"The answer would be larger than {self._caps.max_answer_bytes} bytes: ask for a smaller page."
        if code in TOO_LONG:
            return f"The query took longer than {self._caps.max_seconds} s: {_NARROW}."
        return f"The query would need too much memory or read too many rows: {_NARROW}."


_NARROW = "narrow it by user_id or a filter, ask for a smaller page, or page with cursor= and from="


class _PastACap(Exception):
    """Not an error by itself: `rows` turns it into advice."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _query(client: Client, statement: Statement, settings: Mapping[str, object]) -> Sequence[Sequence[Any]]:
    try:
        return client.query(
            statement.sql, parameters=dict(statement.values), settings={**settings, **_read_only(client)}
        ).result_rows
    except DatabaseError as error:
        if error.code in TOO_EXPENSIVE:
            raise _PastACap(error.code) from error
        raise


def _read_only(client: Client) -> Mapping[str, object]:
    """Where the user is not read-only already (the setting could not be changed then), the statement is."""
    present = client.server_settings.get("readonly")
    return {} if present and present.value != "0" else {"readonly": 1}


def _of_keys(columns: str, table: str, keys: Sequence[RowKey]) -> Statement:
    """The rows of these keys. Ids, times and projects are matched apart, so a foreign combination may come along."""
    bound = Bound()
    times = sorted({key.created_at for key in keys})
    projects = bound.value(sorted({key.project for key in keys}), "Array(String)")
    ids = bound.value([to_int(key.id) for key in keys], "Array(UInt128)")
    first, last = (bound.time(ms) for ms in (times[0], times[-1]))
    moments = bound.value([time_text(ms) for ms in times], f"Array({TIME})")
    return bound.statement(
        f"SELECT {columns} FROM {table} FINAL WHERE project IN {projects}"
        f" AND created_at >= {first} AND created_at <= {last} AND created_at IN {moments} AND id IN {ids}"
        " AND is_deleted = 0"
    )


def _key(values: Sequence[Any]) -> RowKey:
    project, created_at, id_ = values[:3]
    return RowKey(ProjectId(project), created_at, from_int(id_))


def _chunks(keys: Sequence[RowKey]) -> list[Sequence[RowKey]]:
    return [keys[start : start + KEYS_PER_LOOK_UP] for start in range(0, len(keys), KEYS_PER_LOOK_UP)]
