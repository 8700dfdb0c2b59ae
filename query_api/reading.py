"""Statements → rows: the only module that talks to the store. Every statement runs read-only and under the caps.

What costs too much is told apart by the engine's error code and becomes `TooExpensive`; all other failures are sorted
by the pool.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, from_int, to_int
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.settings import QueryCaps
from ledger.store.columns import ROW_COLUMNS, TIME, row_from, select_list, time_text
from ledger.store.questions import TOO_LARGE, TOO_LONG, Answer, PastACap, Question
from query_api.errors import TooExpensive

log = logging.getLogger(__name__)

KEYS_PER_LOOK_UP = 1000
"""So many keys fit in one statement: a server takes at most 128 KiB per bound value."""

ROW_KEY = "project, created_at, id"
KEY_LIST = "project, toUnixTimestamp64Milli(created_at) AS created_at_ms, id"


NEVER_LESS: Mapping[str, object] = {
    f"{what}_overflow_mode": "throw"
    for what in ("timeout", "read", "result", "group_by", "sort", "distinct", "set", "join")
}
"""Past a limit a statement fails: a shorter answer that looks whole would be a lie, whatever a profile says."""

LEAST_SECONDS = 0.01


class Store(Protocol):
    """Who answers questions: the pool itself, or a caller's lane of it."""

    async def run(self, statement: Question) -> Answer:
        """The answer. Raises `PastACap`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""


class Reader:
    """Asks the store. Every method raises `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`.

    A reader for `one_answer` has the time of one question for all its statements together; else each of them has.
    """

    def __init__(self, store: Store, caps: QueryCaps, *, one_answer: bool = False) -> None:
        self._store = store
        self._caps = caps
        self._left_seconds: float | None = caps.max_seconds if one_answer else None

    def renewed(self, most_bytes: int | None = None) -> "Reader":
        """The same with all its time again: for the next page of an answer that is sent while it is still read.

        With `most_bytes` its answers are no larger than that.
        """
        most = self._caps.max_answer_bytes
        caps = replace(self._caps, max_answer_bytes=min(most, most_bytes or most))
        return Reader(self._store, caps, one_answer=True)

    async def rows(self, statement: Statement, extra: Mapping[str, object] | None = None) -> Sequence[Sequence[Any]]:
        """What the statement finds; `extra` are further settings of the engine."""
        try:
            answer = await self._store.run(Question(statement, {**self._limits(), **(extra or {})}))
        except PastACap as error:
            self._spend(error.seconds)
            raise TooExpensive(self._advice(error.code)) from error
        self._spend(answer.seconds)
        if answer.left_out:
            log.debug("Limits are left to the user's profile.", extra={"settings": ", ".join(answer.left_out)})
        return answer.rows

    def _spend(self, seconds: float) -> None:
        if self._left_seconds is not None:
            self._left_seconds -= seconds

    def _limits(self) -> Mapping[str, object]:
        seconds = self._caps.max_seconds if self._left_seconds is None else self._left_seconds
        if seconds < LEAST_SECONDS:
            raise TooExpensive(self._advice(159))
        return {
            **NEVER_LESS,
            "max_execution_time": round(seconds, 3),
            "timeout_before_checking_execution_speed": 0,  # the time itself counts, not an estimate of it
            "max_memory_usage": self._caps.max_memory_bytes,
            "max_result_rows": self._caps.max_rows,
            "max_result_bytes": self._caps.max_answer_bytes,
            "cancel_http_readonly_queries_on_client_close": 1,
        }

    async def ping(self) -> None:
        """Return if the store answers."""
        await self.rows(Statement("SELECT 1", {}))

    async def count(self, statement: Statement) -> int:
        """The one number that the statement finds."""
        found = await self.rows(statement)
        return int(found[0][0])

    async def keys(self, statement: Statement) -> list[RowKey]:
        """The keys that a statement on `KEY_LIST` finds, in its order."""
        return [key_of(values) for values in await self.rows(statement)]

    async def logs(self, keys: Sequence[RowKey]) -> dict[RowKey, RequestLog]:
        """The current light columns of each key that has a row."""
        found: dict[RowKey, RequestLog] = {}
        for chunk in chunks(keys):
            statement = newest_versions(select_list(ROW_COLUMNS), "request_logs", chunk, Bound())
            found |= {log.key: log for log in map(row_from, await self.rows(statement)) if not log.is_deleted}
        return {key: found[key] for key in keys if key in found}

    async def bodies(self, keys: Sequence[RowKey], names: Sequence[str]) -> dict[RowKey, Bodies]:
        """These heavy columns of each key; all of them together stay below `max_answer_bytes`."""
        found: dict[RowKey, Bodies] = {}
        left = self._caps.max_answer_bytes
        for chunk in chunks(keys):
            columns = f"{KEY_LIST}, is_deleted, {', '.join(names)}"
            statement = newest_versions(columns, "request_bodies", chunk, Bound())
            for project, created_at, id_, is_deleted, *texts in await self.rows(statement, {"max_result_bytes": left}):
                left -= sum(len(text.encode()) for text in texts if text is not None)
                if not is_deleted:
                    found[key_of((project, created_at, id_))] = Bodies(**dict(zip(names, texts, strict=True)))
            if left <= 0:
                raise TooExpensive(self._advice(396))
        return found

    def _advice(self, code: int) -> str:
        if code in TOO_LARGE:
            most = f"{self._caps.max_answer_bytes} bytes or {self._caps.max_rows} rows"
            return f"The answer would be larger than {most}: ask for a smaller page (pageSize, limit)."
        if code in TOO_LONG:
            return f"The query took longer than {self._caps.max_seconds} s: {_NARROW}."
        return f"The query would need too much memory or read too many rows: {_NARROW}."


_NARROW = (
    "give a time range (from, to), narrow it by user_id, filter or q, ask for a smaller page,"
    " or page with view=full and cursor"
)


def newest_versions(columns: str, table: str, keys: Sequence[RowKey], bound: Bound) -> Statement:
    """The newest version of each of these keys, deleted ones too: of so few rows all versions are quicker than `FINAL`.

    At most as many keys as one of `chunks` holds. Ids, times and projects are matched apart, so a foreign combination
    may come along.
    """
    times = sorted({key.created_at for key in keys})
    projects = bound.value(sorted({key.project for key in keys}), "Array(String)")
    ids = bound.value([to_int(key.id) for key in keys], "Array(UInt128)")
    first, last = (bound.time(ms) for ms in (times[0], times[-1]))
    moments = bound.value([time_text(ms) for ms in times], f"Array({TIME})")
    return bound.statement(
        f"SELECT {columns} FROM {table} WHERE project IN {projects}"
        f" AND created_at >= {first} AND created_at <= {last} AND created_at IN {moments} AND id IN {ids}"
        f" ORDER BY {ROW_KEY}, version DESC LIMIT 1 BY {ROW_KEY}"
    )


def key_of(values: Sequence[Any]) -> RowKey:
    """The key whose `KEY_LIST` was read as the first of these values."""
    project, created_at, id_ = values[:3]
    return RowKey(ProjectId(project), created_at, from_int(id_))


def chunks(keys: Sequence[RowKey]) -> list[Sequence[RowKey]]:
    """The keys in portions of which one statement takes each."""
    return [keys[start : start + KEYS_PER_LOOK_UP] for start in range(0, len(keys), KEYS_PER_LOOK_UP)]
