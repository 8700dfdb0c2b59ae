"""Is what the log still holds behind its reader in the store? What is not is read again.

A disk that lies, a part that the engine put aside as broken, a store's folder that is gone: whatever took rows away
after they were written, the log has their records for a day. Writing a row again writes the same row, so a record too
many does no harm. What is older than the log cannot be made again; the engine's broken parts are named for that.
What is no longer kept was taken away by its deletion for age, and is not read again.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from clickhouse_connect.driver import Client

from deploy.accounting import Record, is_storable, unaccounted
from ledger import report
from ledger.bus import Delivery
from ledger.bus.sqlite_log import SqliteLog
from ledger.clock import Clock, system_clock, to_milliseconds
from ledger.errors import Invalid, UnknownVersion
from ledger.filtering.retained import EVERYTHING, Retained
from ledger.report import Envelope
from ledger.retention import Installation
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention import read_policies
from ledger.store.retention_clock import doubt_of

CHECKED_RECORDS = 20_000
"""Compared at every start; more for as long as something is missing."""

_CHUNK = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a look at the log and the store found."""

    checked: int
    missing: int
    lowest: int | None  # the log's offset of the first record that is missing


@dataclass(frozen=True, slots=True)
class Expected:
    """How many records are compared at least, and what says which of them are still kept."""

    records: int = CHECKED_RECORDS
    installation: Installation = field(default_factory=Installation)
    clock: Clock = system_clock


async def rebuild_from_log(bus: SqliteLog, pool: ClickHousePool, expected: Expected | None = None) -> Comparison:
    """Move the log's reader back to the first record that the store has lost. Raises `StoreBroken`."""
    broken = await pool.run(broken_parts)
    for table, parts in broken.items():
        log.error(
            "The engine has put parts of the store aside as broken; they are in the table's folder `detached`.",
            extra={"table": table, "parts": len(parts), "names": ", ".join(parts[:10])},
        )
    found = await compare(bus, pool, expected)
    if found.lowest is not None:
        await bus.read_again_from(found.lowest)
        log.warning(
            "The store lacks records that the log still has; they are stored again.",
            extra={"missing": found.missing, "checked": found.checked, "from_offset": found.lowest},
        )
    if broken:
        log.error(
            "Rows of broken parts that are older than the log's records cannot be made again: put a backup back if"
            " they matter.",
            extra={"log_records_checked": found.checked, "stored_again": found.missing},
        )
    return found


async def compare(bus: SqliteLog, pool: ClickHousePool, expected: Expected | None = None) -> Comparison:
    """Look at so many records behind the reader, newest first; at more while something is missing."""
    expected = expected or Expected()
    retained = await pool.run(partial(_retained, expected=expected))
    checked = missing = 0
    lowest: int | None = None
    offset = bus.next_offset
    while chunk := await bus.behind(offset, _CHUNK):
        offset = chunk[0].read_at.offset
        gone = await pool.run(partial(_lost_of, chunk, retained))
        checked, missing = checked + len(chunk), missing + len(gone)
        lowest = min(gone, default=lowest)
        if checked >= expected.records and not gone:
            break
    return Comparison(checked, missing, lowest)


def _retained(client: Client, expected: Expected) -> Retained:
    """What was not deleted for its age; all of it where the clock is to be doubted, as then nothing is deleted."""
    now = to_milliseconds(expected.clock())
    if doubt_of(client, now):
        return EVERYTHING
    return read_policies(client, expected.installation).retained(now)


def broken_parts(client: Client) -> Mapping[str, Sequence[str]]:
    """The parts, by table, that the engine did not load as their files are damaged."""
    sql = (
        "SELECT table, groupArray(name) FROM system.detached_parts"
        " WHERE database = currentDatabase() AND startsWith(reason, 'broken') GROUP BY table"
    )
    return {str(table): list(map(str, names)) for table, names in client.query(sql).result_rows}


def _lost_of(chunk: Sequence[Delivery], retained: Retained, client: Client) -> list[int]:
    """The offsets, as they were read, of the records that nothing in the store accounts for."""
    records = [Record(delivery, envelope) for delivery, envelope in _with_envelopes(chunk)]
    return sorted(record.delivery.read_at.offset for record in unaccounted(client, records, retained))


def _with_envelopes(chunk: Sequence[Delivery]) -> list[tuple[Delivery, Envelope | None]]:
    found: list[tuple[Delivery, Envelope | None]] = []
    for delivery in chunk:
        try:
            envelope = report.decode(delivery.envelope or b"")
            found.append((delivery, envelope if is_storable(envelope) else None))
        except UnknownVersion:
            continue  # a later program has stored it; this one could not store it again
        except Invalid:
            found.append((delivery, None))
    return found
