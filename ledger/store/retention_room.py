"""The disk cap: how much the tables take, and which of the oldest days have to go. Functions of a client."""

from dataclasses import dataclass

from clickhouse_connect.driver import Client

from ledger.filtering.statements import Bound
from ledger.retention import DAY_MS
from ledger.store.retention_deleting import ROW_TABLES


@dataclass(frozen=True, slots=True)
class Room:
    """How much has to go, and between which instants (milliseconds since 1970) it is looked for."""

    bytes: int
    since: int  # what is older is to be deleted anyway
    before: int  # what is younger stays in any case


def bytes_of_tables(client: Client) -> int:
    """What the tables' active parts take on disk."""
    sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
    return int(client.query(sql).result_rows[0][0])


def first_day_left(client: Client, room: Room) -> int | None:
    """From which instant on calls can stay when so much has to go; None when nothing may go.

    What a day takes is estimated: its share of the rows of its month's parts.
    """
    sizes = _bytes_of_rows(client)
    bound = Bound()
    sql = (
        f"SELECT _partition_id, intDiv(toUnixTimestamp64Milli(created_at), {DAY_MS}) * {DAY_MS} AS day, count()"
        " FROM request_logs"
        f" WHERE created_at >= {bound.time(room.since)} AND created_at < {bound.time(room.before)}"
        " GROUP BY _partition_id, day ORDER BY day"
    )
    freed, left = 0.0, None
    for partition, day, rows in client.query(sql, parameters=bound.values).result_rows:
        freed += sizes.get(partition, 0.0) * rows
        left = min(int(day) + DAY_MS, room.before)
        if freed >= room.bytes:
            break
    return left


def _bytes_of_rows(client: Client) -> dict[str, float]:
    """What one row of each partition takes on average, with its heavy columns."""
    sql = (
        "SELECT partition_id, sum(bytes_on_disk) / sumIf(rows, table = 'request_logs') FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)} GROUP BY partition_id"
        " HAVING sumIf(rows, table = 'request_logs') > 0"
    )
    found = client.query(sql, parameters={"tables": list(ROW_TABLES)}).result_rows
    return {str(partition): float(size) for partition, size in found}
