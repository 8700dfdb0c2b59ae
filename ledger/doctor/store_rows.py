"""Whether what the store holds fits together: an id has one row, and an update and a key have one at all.

Only ids of the bounded time are kept in memory, however many rows there are.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from time import time as now

from clickhouse_connect.driver import Client

from ledger.doctor import Finding, ok, problem, warning
from ledger.doctor.store_looks import Check, one
from ledger.filtering.statements import Bound
from ledger.retention import Installation
from ledger.store.retention import read_policies
from ledger.store.retention_deleting import row_is_kept

_TWO_ROWS = """SELECT count() FROM (SELECT 1 FROM request_logs FINAL
    WHERE created_at >= fromUnixTimestamp({since:Int64}) GROUP BY project, id HAVING count() > 1)"""

_NO_ROW = """SELECT count() FROM (SELECT DISTINCT project, id FROM {table:Identifier}
        WHERE {time:Identifier} >= fromUnixTimestamp({since:Int64}) AND (%s)) AS known
    LEFT ANTI JOIN (SELECT project, id FROM request_logs
        WHERE id IN (SELECT id FROM {table:Identifier} WHERE {time:Identifier} >= fromUnixTimestamp({since:Int64}))
    ) AS rows USING (project, id)"""


def row_checks(since: int, installation: Installation) -> Sequence[tuple[str, Check]]:
    """By part. `since`: what happened before it is not looked at; seconds since 1970."""
    return [
        ("rows", partial(_rows, since=since)),
        ("updates", partial(_updates, since=since, installation=installation)),
        ("idempotency keys", partial(_keys, since=since, installation=installation)),
    ]


def _rows(client: Client, since: int) -> Iterator[Finding]:
    twice = one(client, _TWO_ROWS, since=since)
    if twice:
        yield problem("rows", f"{twice} ids have two rows.", "This must never be: please report it.")
    else:
        yield ok("rows", "No id has two rows.")


def _updates(client: Client, since: int, installation: Installation) -> Iterator[Finding]:
    waiting = _without_row(client, "request_patches", "accepted_at", since, installation)
    if waiting:
        do = "Their reports may be among the dead letters: llmledger dlq list."
        yield warning("updates", f"Updates of {waiting} records wait for the report itself.", do)


def _keys(client: Client, since: int, installation: Installation) -> Iterator[Finding]:
    keyed = _without_row(client, "request_keys", "created_at", since, installation)
    if keyed:
        do = "A moment of this is normal while a batch is being written; later, look at the dead letters."
        yield warning("idempotency keys", f"{keyed} of them have no row.", do)


def _without_row(client: Client, table: str, time: str, since: int, installation: Installation) -> int:
    """How many ids of this table have no row, although it is not gone for its age."""
    bound = Bound()
    retained = read_policies(client, installation).retained(int(now() * 1000))
    sql = _NO_ROW % row_is_kept(retained, time, bound)
    return int(one(client, sql, table=table, time=time, since=since, **bound.values))
