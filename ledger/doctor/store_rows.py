"""Whether what the store holds fits together: an id has one row, and an update and a key have one at all.

Only ids of the bounded time are kept in memory, however many rows there are.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from clickhouse_connect.driver import Client

from ledger.doctor import Finding, ok, problem, warning
from ledger.doctor.store_looks import Check, one

_TWO_ROWS = """SELECT count() FROM (SELECT 1 FROM request_logs FINAL
    WHERE created_at >= fromUnixTimestamp({since:Int64}) GROUP BY project, id HAVING count() > 1)"""

_NO_ROW = """SELECT count() FROM (SELECT DISTINCT project, id FROM {table:Identifier}
        WHERE {time:Identifier} >= fromUnixTimestamp({since:Int64})) AS known
    LEFT ANTI JOIN (SELECT project, id FROM request_logs
        WHERE id IN (SELECT id FROM {table:Identifier} WHERE {time:Identifier} >= fromUnixTimestamp({since:Int64}))
    ) AS rows USING (project, id)"""


def row_checks(since: int) -> Sequence[tuple[str, Check]]:
    """By part. `since`: what happened before it is not looked at; seconds since 1970."""
    looks = {"rows": _rows, "updates": _updates, "idempotency keys": _keys}
    return [(part, partial(look, since=since)) for part, look in looks.items()]


def _rows(client: Client, since: int) -> Iterator[Finding]:
    twice = one(client, _TWO_ROWS, since=since)
    if twice:
        yield problem("rows", f"{twice} ids have two rows.", "This must never be: please report it.")
    else:
        yield ok("rows", "No id has two rows.")


def _updates(client: Client, since: int) -> Iterator[Finding]:
    waiting = one(client, _NO_ROW, table="request_patches", time="accepted_at", since=since)
    if waiting:
        do = "Their reports may be among the dead letters: llmledger dlq list."
        yield warning("updates", f"Updates of {waiting} records wait for the report itself.", do)


def _keys(client: Client, since: int) -> Iterator[Finding]:
    keyed = one(client, _NO_ROW, table="request_keys", time="created_at", since=since)
    if keyed:
        do = "A moment of this is normal while a batch is being written; later, look at the dead letters."
        yield warning("idempotency keys", f"{keyed} of them have no row.", do)
