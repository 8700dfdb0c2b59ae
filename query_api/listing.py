"""A page asked for → the statements that find it.

Two phases: the keys of the page from the light table, sorted and cut there; then the rows and bodies of these keys
only. Rows are deduplicated before any condition (`FINAL`), so a row counts once and as it stands now.

The documented form always covers all time. Our own form does too unless `from` and `to` are given; there is no default
window.
"""

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import to_int
from ledger.request_log import RowKey
from query_api.conditions import Conditions, where
from query_api.parameters import CursorPage, NumberedPage
from query_api.reading import KEY_LIST


def count(conditions: Conditions, reach: Reach) -> Statement:
    """How many rows there are."""
    bound = Bound()
    return bound.statement(f"SELECT count() FROM request_logs FINAL WHERE {where(conditions, reach, bound)}")


def numbered(page: NumberedPage, reach: Reach) -> Statement:
    """The keys of one page of the documented form, in order."""
    bound = Bound()
    clause = where(page.conditions, reach, bound)
    way = "ASC" if page.ascending else "DESC"
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_logs FINAL WHERE {clause}"
        f" ORDER BY {page.sort.expression} {way} NULLS LAST, {_ties(reach, way)}"
        f" LIMIT {bound.value(page.size, 'UInt64')} OFFSET {bound.value(page.offset, 'UInt64')}"
    )


def after_cursor(page: CursorPage, reach: Reach) -> Statement:
    """The keys of one page of our own form, newest first, and one more when there is a next page."""
    bound = Bound()
    clause = where(page.conditions, reach, bound)
    if page.after is not None:
        clause += f" AND {_strictly_before(page.after, reach, bound)}"
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_logs FINAL WHERE {clause}"
        f" ORDER BY created_at DESC, {_ties(reach, 'DESC')} LIMIT {bound.value(page.limit + 1, 'UInt64')}"
    )


def _ties(reach: Reach, way: str) -> str:
    """Ids decide between equal values; over all projects their names do besides, so that the order is total."""
    return f"id {way}" if reach.project is not None else f"id {way}, project {way}"


def _strictly_before(last: RowKey, reach: Reach, bound: Bound) -> str:
    """The tuple alone would not use the table's order: the explicit bound on the time does."""
    time, id_ = bound.time(last.created_at), bound.value(to_int(last.id), "UInt128")
    if reach.project is not None:
        return f"created_at <= {time} AND (created_at, id) < ({time}, {id_})"
    project = bound.value(last.project, "String")
    return f"created_at <= {time} AND (created_at, id, project) < ({time}, {id_}, {project})"
