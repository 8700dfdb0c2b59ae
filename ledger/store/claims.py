"""What the store says of claims: a dead letter that names one needs it, for its replay."""

from collections.abc import Sequence

from clickhouse_connect.driver import Client

NAMED_CLAIM = "JSONExtractString(ifNull(envelope, ''), 'blob', 'name')"
"""The claim that a dead letter names; '' where it names none."""


_AMONG = "name IN {names:Array(String)}"
_ANY = "name != ''"
_PLACE = "generation, partition, offset"

_REPLAYS = f"SELECT {_PLACE}, replays FROM dead_letter_replays GROUP BY {_PLACE}, replays"
"""The deaths that were answered by a replay."""


def _last_deaths(condition: str) -> str:
    """Of several deaths of one record the one after the most replays."""
    return (
        f"(SELECT {NAMED_CLAIM} AS name, {_PLACE}, replays, dead_at FROM dead_letters WHERE {condition}"
        f" ORDER BY {_PLACE}, replays DESC LIMIT 1 BY {_PLACE})"
    )


def claims_of_dead_letters(client: Client, limit: int) -> list[str]:
    """Claims that dead letters name which wait for their replay, those of the latest deaths first."""
    sql = (
        f"SELECT name FROM {_last_deaths(_ANY)} WHERE ({_PLACE}, replays) NOT IN ({_REPLAYS})"
        " GROUP BY name ORDER BY max(dead_at) DESC, name LIMIT {limit:UInt32}"
    )
    return [name for (name,) in client.query(sql, parameters={"limit": limit}).result_rows]


def named_by_dead_letters(client: Client, names: Sequence[str], replayed_before: int) -> set[str]:
    """Those of these claims that a dead letter needs: it waits, or its replay may still be on the bus.

    One that was replayed before that moment (milliseconds since 1970) and has not died again is stored.
    """
    sql = (
        f"SELECT DISTINCT name FROM {_last_deaths(_AMONG)} WHERE ({_PLACE}, replays)"
        f" NOT IN ({_REPLAYS} HAVING max(toUnixTimestamp64Milli(replayed_at)) < {{before:Int64}})"
    )
    parameters = {"names": list(names), "before": replayed_before}
    return {name for (name,) in client.query(sql, parameters=parameters).result_rows}
