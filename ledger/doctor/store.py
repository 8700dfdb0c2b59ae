"""The store: whether it answers, its schema, room and parts, its clock, and whether what it holds fits together."""

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clickhouse_connect.driver import Client

from ledger.doctor import Finding, ok, problem, warning
from ledger.doctor.store_looks import Check, TooCostly, found, one
from ledger.doctor.store_rows import row_checks
from ledger.errors import LedgerError, StoreUnavailable
from ledger.retention import Installation
from ledger.store.clickhouse import ClickHousePool
from ledger.store.migrations import available, check, drive

CLOCK_SECONDS = 2.0
"""How far apart two clocks may be before `created_at` bounds and retention begin to look odd."""

FREE_SHARE, FREE_BYTES = 0.05, 2 * 1024**3
PARTS_OF_A_PARTITION = 500  # the engine slows inserts at 1,000 and refuses them at 3,000
RECENT_DAYS = 7
ALL_IS_KEPT = Installation()


async def store_findings(
    pool: ClickHousePool,
    *,
    everything: bool = False,
    also: Sequence[tuple[str, Check]] = (),
    installation: Installation = ALL_IS_KEPT,
) -> list[Finding]:
    """All there is to say of the store. `everything` looks at all rows, else at those of the last days.

    `also`: further checks, by part. A check that costs too much is a finding of its own, and the others are made.
    """
    since = 0 if everything else int(time.time()) - RECENT_DAYS * 86400
    findings: list[Finding] = []
    for part, look in (*_CHECKS, *also, *row_checks(since, installation)):
        try:
            findings += await pool.run(lambda client, look=look: list(look(client)))  # type: ignore[misc]
        except TooCostly as error:
            do = "It was not looked at. Try again when there is less to do; without --deep only the last days are read."
            findings.append(warning(part, str(error), do))
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


def _version(client: Client) -> Iterator[Finding]:
    yield ok("store", f"ClickHouse {one(client, 'SELECT version()')} answers.")


def _schema(client: Client) -> Iterator[Finding]:
    missing = drive(check(available()), client)
    carried = {version for version, _ in available()}
    if missing:
        yield problem("schema", f"Migrations {missing} are missing.", "Run: llmledger migrate")
        return
    newer = [row[0] for row in found(client, "SELECT version FROM schema_version") if row[0] not in carried]
    if newer:
        yield warning("schema", f"It is newer than this program: {sorted(newer)}.", "Upgrade this installation.")
    else:
        yield ok("schema", f"Version {max(carried)}, nothing is missing.")


def _clock(client: Client) -> Iterator[Finding]:
    before = time.time()
    theirs = float(one(client, "SELECT toUnixTimestamp64Milli(now64(3))")) / 1000
    apart = theirs - (before + time.time()) / 2
    if abs(apart) > CLOCK_SECONDS:
        yield problem("clock", f"The store's clock is {apart:+.1f} s from this machine's.", "Run NTP on both.")
    else:
        yield ok("clock", f"The store's clock is within {CLOCK_SECONDS:.0f} s of this machine's.")


def _room(client: Client) -> Iterator[Finding]:
    for name, free, total in found(client, "SELECT name, free_space, total_space FROM system.disks"):
        yield _room_on(f"disk {name} of the store", free, total)


def _room_on(name: str, free: int, total: int) -> Finding:
    seen = f"{free / 1024**3:.1f} GiB of {total / 1024**3:.1f} GiB are free."
    if free < min(FREE_BYTES, FREE_SHARE * total):
        return problem(name, seen, "Make room now: merges need it, and inserts stop when it is gone.")
    if free < 2 * FREE_BYTES:
        return warning(name, seen, "Make room soon: merges need as much as the largest part, twice.")
    return ok(name, seen)


def _parts(client: Client) -> Iterator[Finding]:
    most = found(
        client,
        "SELECT table, partition, count() AS parts FROM system.parts WHERE active AND database = currentDatabase()"
        " GROUP BY table, partition ORDER BY parts DESC LIMIT 1",
    )
    if most and most[0][2] > PARTS_OF_A_PARTITION:
        table, partition, parts = most[0]
        do = "Merges do not keep up: look at its disk and CPU, and make batches larger (LLMLEDGER_BATCH__MAX_ROWS)."
        yield warning("parts", f"{table} has {parts} parts in partition {partition}.", do)
    lost = found(
        client,
        "SELECT table, count(), any(reason) FROM system.detached_parts WHERE database = currentDatabase()"
        " AND reason != '' GROUP BY table",
    )
    for table, count, reason in lost:
        do = "Rows are missing: restore the backup, or read the bus again from before the damage."
        yield problem("parts", f"{count} parts of {table} were put aside as {reason}.", do)
    if not lost:
        yield ok("parts", "None was put aside as damaged.")


_CHECKS: Sequence[tuple[str, Check]] = (
    ("store", _version),
    ("schema", _schema),
    ("clock", _clock),
    ("disk", _room),
    ("parts", _parts),
)
