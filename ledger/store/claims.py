"""What the store says of claims: a dead letter that names one needs it, for its replay."""

from collections.abc import Sequence

from clickhouse_connect.driver import Client

_NAMED = "JSONExtractString(ifNull(envelope, ''), 'blob', 'name')"  # '' where there is none


def named_by_dead_letters(client: Client, names: Sequence[str]) -> set[str]:
    """Those of these claims that a dead letter names, replayed or not."""
    sql = f"SELECT DISTINCT {_NAMED} AS name FROM dead_letters WHERE name IN {{names:Array(String)}}"
    return {name for (name,) in client.query(sql, parameters={"names": list(names)}).result_rows}
