"""Pages without the price of `FINAL`: rows of any version that match, then only those that still stand so.

A page in some order is made of keys. The statements here find the keys of the first rows of *any* version that
match, in that order; the newest version of each key then says itself whether it matches now and where its place is.
Nothing can be missed: the row that stands now is among the rows of any version. A key is judged by what stands when it
is looked up, so an update that comes meanwhile takes no row out of a list to which it belongs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import to_int
from ledger.request_log import RequestLog, RowKey
from ledger.store.columns import ROW_COLUMNS, row_from, select_list
from query_api.conditions import NOT_DELETED, Conditions, matching
from query_api.reading import KEY_LIST, Reader, chunks, newest_versions

_ROW_LIST = select_list(ROW_COLUMNS)


@dataclass(frozen=True, slots=True)
class Order:
    """What rows are sorted by: an expression of ours, NULL where unknown, and a direction. Unknown comes last."""

    expression: str
    way: str = "DESC"


IN_TIME = Order("created_at")


@dataclass(frozen=True, slots=True)
class Standing:
    """A row as it stands, and its place in the order."""

    row: RequestLog
    place: Any


def in_time_order(conditions: Conditions, within: Reach, after: RowKey | None, limit: int) -> Statement:
    """The keys of the first rows of any version that match, newest first; a key as often as it has copies."""
    bound = Bound()
    asked = matching(conditions, within, bound)
    parts = [within.clause(bound), *asked, *([NOT_DELETED] if asked else [])]
    if after is not None:
        parts.append(strictly_before(after, within, bound))
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_logs WHERE {' AND '.join(parts)}"
        f" ORDER BY created_at DESC, {ties(within, 'DESC')} LIMIT {bound.value(limit, 'UInt64')}"
    )


def in_order(conditions: Conditions, reach: Reach, order: Order, limit: int) -> Statement:
    """The same in another order, each with its place in it."""
    bound = Bound()
    parts = [reach.clause(bound), NOT_DELETED, *matching(conditions, reach, bound)]
    return bound.statement(
        f"SELECT {KEY_LIST}, {order.expression} AS place FROM request_logs WHERE {' AND '.join(parts)}"
        f" ORDER BY {order.expression} {order.way} NULLS LAST, {ties(reach, order.way)}"
        f" LIMIT {bound.value(limit, 'UInt64')}"
    )


async def standing(
    keys: Sequence[RowKey], conditions: Conditions, reach: Reach, reader: Reader, order: Order = IN_TIME
) -> Mapping[RowKey, Standing]:
    """The rows of these keys as they stand now, in the order of the keys: those that are there and match.

    The conditions must not look into bodies.
    """
    found: dict[RowKey, Standing] = {}
    for chunk in chunks(keys):
        bound = Bound()
        matches_now = " AND ".join(matching(conditions, reach, bound)) or "1"
        columns = f"{_ROW_LIST}, ({matches_now}) AS matches, {order.expression} AS place"
        statement = newest_versions(columns, "request_logs", chunk, bound)
        for *values, matches, place in await reader.rows(statement):
            row = row_from(values)
            if matches and not row.is_deleted:
                found[row.key] = Standing(row, place)
    return {key: found[key] for key in keys if key in found}


def each_once(keys: Iterable[RowKey]) -> list[RowKey]:
    """The keys in their order, each where it stands first."""
    return list(dict.fromkeys(keys))


def ties(reach: Reach, way: str) -> str:
    """Ids decide between equal values; over all projects their names do besides, so that the order is total."""
    return f"id {way}" if reach.project is not None else f"id {way}, project {way}"


def strictly_before(last: RowKey, reach: Reach, bound: Bound) -> str:
    """The tuple alone would not use the table's order: the explicit bound on the time does."""
    time, id_ = bound.time(last.created_at), bound.value(to_int(last.id), "UInt128")
    if reach.project is not None:
        return f"created_at <= {time} AND (created_at, id) < ({time}, {id_})"
    project = bound.value(last.project, "String")
    return f"created_at <= {time} AND (created_at, id, project) < ({time}, {id_}, {project})"
