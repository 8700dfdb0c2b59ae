"""What the store says of claims: a dead letter that names one needs it, for its replay."""

from collections.abc import Sequence

from clickhouse_connect.driver import Client

NAMED_CLAIM = "JSONExtractString(ifNull(envelope, ''), 'blob', 'name')"
"""The claim that a dead letter names; '' where it names none."""


def named_by_dead_letters(client: Client, names: Sequence[str]) -> set[str]:
    """Those of these claims that a dead letter names, replayed or not."""
    sql = f"SELECT DISTINCT {NAMED_CLAIM} AS name FROM dead_letters WHERE name IN {{names:Array(String)}}"
    return {name for (name,) in client.query(sql, parameters={"names": list(names)}).result_rows}
