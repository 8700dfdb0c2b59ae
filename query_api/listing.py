"""A page asked for → the statements that find it.

Two phases: the keys of the page from the light table, sorted and cut there; then the rows and bodies of these keys
only. Rows are deduplicated before any condition (`FINAL`), so a row counts once and as it stands now.

The documented form always covers all time. Our own form does too unless `from` and `to` are given; there is no default
window.
"""

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.request_log import RowKey
from query_api.candidates import strictly_before, ties
from query_api.conditions import Conditions, where
from query_api.parameters import NumberedPage
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
        f" ORDER BY {page.sort.expression} {way} NULLS LAST, {ties(reach, way)}"
        f" LIMIT {bound.value(page.size, 'UInt64')} OFFSET {bound.value(page.offset, 'UInt64')}"
    )


def deduplicated(conditions: Conditions, within: Reach, after: RowKey | None, limit: int) -> Statement:
    """The keys of the newest rows that come strictly after this one, newest first."""
    bound = Bound()
    clause = where(conditions, within, bound)
    if after is not None:
        clause += f" AND {strictly_before(after, within, bound)}"
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_logs FINAL WHERE {clause}"
        f" ORDER BY created_at DESC, {ties(within, 'DESC')} LIMIT {bound.value(limit, 'UInt64')}"
    )
