"""What the store says of claims: a dead letter that names one needs it, for its replay."""

from collections.abc import Sequence

from clickhouse_connect.driver import Client

NAMED_CLAIM = "JSONExtractString(ifNull(envelope, ''), 'blob', 'name')"
"""The claim that a dead letter names; '' where it names none."""


def claims_of_dead_letters(client: Client, limit: int) -> list[str]:
    """Claims that dead letters name, those of the latest deaths first."""
    sql = (
        f"SELECT {NAMED_CLAIM} AS name FROM dead_letters WHERE name != ''"
        " GROUP BY name ORDER BY max(dead_at) DESC, name LIMIT {limit:UInt32}"
    )
    return [name for (name,) in client.query(sql, parameters={"limit": limit}).result_rows]


def named_by_dead_letters(client: Client, names: Sequence[str]) -> set[str]:
    """Those of these claims that a dead letter names, replayed or not."""
    sql = f"SELECT DISTINCT {NAMED_CLAIM} AS name FROM dead_letters WHERE name IN {{names:Array(String)}}"
    return {name for (name,) in client.query(sql, parameters={"names": list(names)}).result_rows}
