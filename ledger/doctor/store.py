"""The store: whether it answers, its schema, room and parts, its clock, and whether what it holds fits together."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver import Client

from ledger.doctor import Finding, ok, problem, warning
from ledger.errors import LedgerError, StoreUnavailable
from ledger.store.clickhouse import ClickHousePool
from ledger.store.migrations import available, check, drive

CLOCK_SECONDS = 2.0
"""How far apart two clocks may be before `created_at` bounds and retention begin to look odd."""

FREE_SHARE, FREE_BYTES = 0.05, 2 * 1024**3
PARTS_OF_A_PARTITION = 500  # the engine slows inserts at 1,000 and refuses them at 3,000
RECENT_DAYS = 7
LOOK_SECONDS = 60

Check = Callable[[Client], Iterator[Finding]]


def store_findings(pool: ClickHousePool, *, everything: bool = False) -> list[Finding]:
    """All there is to say of the store. `everything` looks at all rows, else at those of the last days."""
    since = datetime(1970, 1, 1, tzinfo=UTC).timestamp() if everything else time.time() - RECENT_DAYS * 86400
    checks: Sequence[Check] = (_version, _schema, _clock, _room, _parts, _dead_letters, lambda c: _rows(c, int(since)))
    findings: list[Finding] = []
    for look in checks:
        try:
            findings += pool.run_here(lambda client, look=look: list(look(client)))  # type: ignore[misc]
        except StoreUnavailable as error:
            do = "Does it run, and is LLMLEDGER_STORE__DSN right? Reports are accepted meanwhile and wait on the bus."
            return [*findings, problem("store", str(error), do)]
        except LedgerError as error:
            findings.append(problem("store", str(error), "Look into the store's own log. Is the schema up to date?"))
    return findings


def folder_findings(folder: Path) -> list[Finding]:
    """The room on the disk of a data folder."""
    usage = shutil.disk_usage(folder)
    return [_room_on(f"disk of {folder}", usage.free, usage.total)]


def _one(client: Client, sql: str, **values: object) -> Any:
    found = client.query(sql, parameters=values, settings={"max_execution_time": LOOK_SECONDS}).result_rows
    return found[0][0]


def _version(client: Client) -> Iterator[Finding]:
    yield ok("store", f"ClickHouse {_one(client, 'SELECT version()')} answers.")


def _schema(client: Client) -> Iterator[Finding]:
    missing = drive(check(available()), client)
    carried = {version for version, _ in available()}
    if missing:
        yield problem("schema", f"Migrations {missing} are missing.", "Run: llmledger migrate")
        return
    newer = [row[0] for row in client.query("SELECT version FROM schema_version").result_rows if row[0] not in carried]
    if newer:
        yield warning("schema", f"It is newer than this program: {sorted(newer)}.", "Upgrade this installation.")
    else:
        yield ok("schema", f"Version {max(carried)}, nothing is missing.")


def _clock(client: Client) -> Iterator[Finding]:
    before = time.time()
    theirs = float(_one(client, "SELECT toUnixTimestamp64Milli(now64(3))")) / 1000
    apart = theirs - (before + time.time()) / 2
    if abs(apart) > CLOCK_SECONDS:
        yield problem("clock", f"The store's clock is {apart:+.1f} s from this machine's.", "Run NTP on both.")
    else:
        yield ok("clock", f"The store's clock is within {CLOCK_SECONDS:.0f} s of this machine's.")


def _room(client: Client) -> Iterator[Finding]:
    for name, free, total in client.query("SELECT name, free_space, total_space FROM system.disks").result_rows:
        yield _room_on(f"disk {name} of the store", free, total)


def _room_on(name: str, free: int, total: int) -> Finding:
    seen = f"{free / 1024**3:.1f} GiB of {total / 1024**3:.1f} GiB are free."
    if free < min(FREE_BYTES, FREE_SHARE * total):
        return problem(name, seen, "Make room now: merges need it, and inserts stop when it is gone.")
    if free < 2 * FREE_BYTES:
        return warning(name, seen, "Make room soon: merges need as much as the largest part, twice.")
    return ok(name, seen)


def _parts(client: Client) -> Iterator[Finding]:
    most = client.query(
        "SELECT table, partition, count() AS parts FROM system.parts WHERE active AND database = currentDatabase()"
        " GROUP BY table, partition ORDER BY parts DESC LIMIT 1"
    ).result_rows
    if most and most[0][2] > PARTS_OF_A_PARTITION:
        table, partition, parts = most[0]
        do = "Merges do not keep up: look at its disk and CPU, and make batches larger (LLMLEDGER_BATCH__MAX_ROWS)."
        yield warning("parts", f"{table} has {parts} parts in partition {partition}.", do)
    lost = client.query(
        "SELECT table, count(), any(reason) FROM system.detached_parts WHERE database = currentDatabase()"
        " AND reason != '' GROUP BY table"
    ).result_rows
    for table, count, reason in lost:
        do = "Rows are missing: restore the backup, or read the bus again from before the damage."
        yield problem("parts", f"{count} parts of {table} were put aside as {reason}.", do)
    if not lost:
        yield ok("parts", "None was put aside as damaged.")


def _dead_letters(client: Client) -> Iterator[Finding]:
    found = client.query("SELECT reason, count() FROM dead_letters FINAL GROUP BY reason ORDER BY reason").result_rows
    if found:
        counts = ", ".join(f"{count} {reason}" for reason, count in found)
        yield warning("dead letters", counts, "Look: llmledger dlq list. After a fix: llmledger dlq replay.")
    else:
        yield ok("dead letters", "There are none.")


_TWO_ROWS = """SELECT count() FROM (SELECT 1 FROM request_logs FINAL
    WHERE created_at >= fromUnixTimestamp({since:Int64}) GROUP BY project, id HAVING count() > 1)"""

_NO_ROW = """SELECT count() FROM (SELECT DISTINCT project, id FROM {table:Identifier} WHERE {time:Identifier} >=
    fromUnixTimestamp({since:Int64})) AS known LEFT ANTI JOIN request_logs AS rows USING (project, id)"""


def _rows(client: Client, since: int) -> Iterator[Finding]:
    twice = _one(client, _TWO_ROWS, since=since)
    if twice:
        yield problem("rows", f"{twice} ids have two rows.", "This must never be: please report it.")
    else:
        yield ok("rows", "No id has two rows.")
    waiting = _one(client, _NO_ROW, table="request_patches", time="accepted_at", since=since)
    if waiting:
        do = "Their reports may be among the dead letters: llmledger dlq list."
        yield warning("updates", f"Updates of {waiting} records wait for the report itself.", do)
    keyed = _one(client, _NO_ROW, table="request_keys", time="created_at", since=since)
    if keyed:
        do = "A moment of this is normal while a batch is being written; later, look at the dead letters."
        yield warning("idempotency keys", f"{keyed} of them have no row.", do)
