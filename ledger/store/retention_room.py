"""The disk cap: how much the tables take, and which of the oldest days have to go. Functions of a client."""

from dataclasses import dataclass

from clickhouse_connect.driver import Client

from ledger.filtering.statements import Bound
from ledger.retention import DAY_MS
from ledger.store.retention_deleting import ROW_TABLES, TABLES


@dataclass(frozen=True, slots=True)
class Room:
    """How much has to go, and from before which instant (milliseconds since 1970)."""

    bytes: int
    before: int  # what is younger stays in any case


@dataclass(frozen=True, slots=True)
class Days:
    """The oldest days that would have to go."""

    left: int | None  # from this instant on, in milliseconds since 1970, calls can stay; None: no day may go
    bytes: int  # what these days take, estimated
    are_enough: bool


def bytes_of_tables(client: Client) -> int:
    """What the active parts of the tables take on disk from which calls are deleted for their age."""
    return sum(bytes_by_table(client).values())


def bytes_by_table(client: Client) -> dict[str, int]:
    """The same of each table, the largest first."""
    sql = (
        "SELECT table, sum(bytes_on_disk) AS size FROM system.parts WHERE active AND database = currentDatabase()"
        " AND table IN {tables:Array(String)} GROUP BY table ORDER BY size DESC, table"
    )
    found = client.query(sql, parameters={"tables": list(TABLES)}).result_rows
    return {str(table): int(size) for table, size in found}


def days_to_go(client: Client, room: Room) -> Days:
    """The oldest days that make so much room, as far as there are any; those that are hidden already count.

    What a day takes is estimated: its share of the rows of its month's parts.
    """
    sizes = _bytes_of_rows(client)
    bound = Bound()
    sql = (
        f"SELECT _partition_id, intDiv(toUnixTimestamp64Milli(created_at), {DAY_MS}) * {DAY_MS} AS day, count()"
        f" FROM request_logs WHERE created_at < {bound.time(room.before)} GROUP BY _partition_id, day ORDER BY day"
    )
    freed, left = 0.0, None
    for partition, day, rows in client.query(sql, parameters=bound.values).result_rows:
        freed += sizes.get(partition, 0.0) * rows
        left = min(int(day) + DAY_MS, room.before)
        if freed >= room.bytes:
            break
    return Days(left, int(freed), freed >= room.bytes)


def _bytes_of_rows(client: Client) -> dict[str, float]:
    """What one row of each partition takes on average, with its heavy columns."""
    sql = (
        "SELECT partition_id, sum(bytes_on_disk) / sumIf(rows, table = 'request_logs') FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)} GROUP BY partition_id"
        " HAVING sumIf(rows, table = 'request_logs') > 0"
    )
    found = client.query(sql, parameters={"tables": list(ROW_TABLES)}).result_rows
    return {str(partition): float(size) for partition, size in found}
