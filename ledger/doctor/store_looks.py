"""One question of the doctor to the store, under caps: looking must not take from those who work."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from ledger.doctor import Finding
from ledger.filtering.statements import Statement

LOOK_SECONDS = 30
"""Less than a client waits for an answer, so that the engine is the one to say that it took too long."""

LOOK_MEMORY_BYTES = 1024**3

PAST_A_CAP = frozenset({158, 159, 160, 191, 241, 307, 396})
"""Codes of rows, time, speed, set, memory, bytes and result beyond a cap."""

Check = Callable[[Client], Iterator[Finding]]


class TooCostly(Exception):
    """The store is there, and this look would take more of it than a look may. Its text says what ran out."""


def rows(client: Client, statement: Statement) -> Sequence[Sequence[Any]]:
    """What the statement finds. Raises `TooCostly`, and what the driver raises."""
    caps = {"max_execution_time": LOOK_SECONDS, "max_memory_usage": LOOK_MEMORY_BYTES}
    try:
        return client.query(statement.sql, parameters=dict(statement.values), settings=caps).result_rows
    except DatabaseError as error:
        if error.code in PAST_A_CAP:
            most = f"{LOOK_SECONDS} s or {LOOK_MEMORY_BYTES // 1024**2} MiB of memory"
            raise TooCostly(f"It would take more than {most} (code {error.code}).") from error
        raise


def found(client: Client, sql: str, **values: object) -> Sequence[Sequence[Any]]:
    """The same for a text and its values."""
    return rows(client, Statement(sql, values))


def one(client: Client, sql: str, **values: object) -> Any:
    """The one value that it finds."""
    return found(client, sql, **values)[0][0]
