"""Physical deletion for age: functions of a client that take what is no longer kept out of the store's parts.

What is left to do is read from the tables themselves, so that whatever was cut short is simply done again. What is gone
is the negation of the condition under which readers are shown a call: nothing that is still shown can be deleted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver import Client

from ledger.filtering.retained import Retained
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId
from ledger.report import Kind
from ledger.retention import DAY_MS, KEY_DAYS

TABLES = ("request_logs", "request_bodies", "request_patches", "request_keys", "dead_letters")
"""In this order: whose an update under an idempotency key is, the keys say."""

ROW_TABLES = TABLES[:2]

_PLAIN = "bitAnd(bitShiftRight(id, 76), 15) = 7"
"""Whether an id carries its record's time, in its highest 48 bits."""

_STAYING = [kind.value for kind in Kind if kind.is_deletion]

_NAME = re.compile(r"[0-9a-z_]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is kept, and what time it is (milliseconds since 1970)."""

    retained: Retained
    now: int


@dataclass(frozen=True, slots=True)
class Lot:
    """What is no longer kept of one partition of a table."""

    table: str
    partition: str
    whole_parts: tuple[tuple[str, int], ...]  # hold nothing else; with their rows
    other_rows: int  # in parts that hold more

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(rows for _, rows in self.whole_parts) + self.other_rows


@dataclass(frozen=True, slots=True)
class Mutation:
    """Parts that the engine is writing anew."""

    table: str
    id: str
    failure: str  # '' unless it is tried again


def gone(table: str, cut: Cut, bound: Bound) -> str:
    """The condition on any version of a row of this table that it is no longer kept."""
    retained = cut.retained
    if table == "request_patches":
        return _gone_patches(retained, bound)
    if table == "request_keys":
        retained = retained.no_later_than(cut.now - KEY_DAYS * DAY_MS)
    time = "first_dead_at" if table == "dead_letters" else "created_at"
    return _older(retained, time, bound)


def lots(client: Client, table: str, cut: Cut) -> list[Lot]:
    """What of this table is to be deleted, a partition at a time, the oldest first."""
    bound = Bound()
    where = gone(table, cut, bound)
    if where == "0":
        return []
    sql = f"SELECT _partition_id, _part, count() FROM {table} WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2"
    found = client.query(sql, parameters=bound.values).result_rows
    if not found:
        return []
    sizes = _rows_of_parts(client, table)
    return [
        _lot(table, partition, [(part, count) for of, part, count in found if of == partition], sizes)
        for partition in sorted({row[0] for row in found})
    ]


def _lot(table: str, partition: str, parts: Sequence[tuple[str, int]], sizes: dict[str, int]) -> Lot:
    whole = {part: count for part, count in parts if sizes.get(part) == count}
    others = sum(count for part, count in parts if part not in whole)
    return Lot(table, partition, tuple(whole.items()), others)


def drop_part(client: Client, table: str, part: str) -> None:
    """Take a part away that holds nothing else. A part never changes: what was inserted since is in another.

    The engine refuses it when the part was merged into another meanwhile.
    """
    client.command(f"ALTER TABLE {table} DROP PART '{_checked(part)}'")


def delete_rows(client: Client, table: str, partition: str, cut: Cut) -> None:
    """Ask the engine to write the parts of a partition anew that hold what is no longer kept. It takes its time."""
    bound = Bound()
    where = gone(table, cut, bound)
    client.command(
        f"ALTER TABLE {table} DELETE IN PARTITION ID '{_checked(partition)}' WHERE {where}",
        parameters=bound.values,
        settings={"mutations_sync": 0},
    )


def mutations(client: Client) -> list[Mutation]:
    """What the engine is still writing anew of these tables."""
    sql = (
        "SELECT table, mutation_id, latest_fail_reason FROM system.mutations WHERE database = currentDatabase()"
        " AND table IN {tables:Array(String)} AND NOT is_done"
    )
    return [Mutation(*row) for row in client.query(sql, parameters={"tables": list(TABLES)}).result_rows]


def projects_with_media(client: Client, cut: Cut) -> set[ProjectId]:
    """The projects whose blobs may be named by nothing any more once these rows are gone."""
    bound = Bound()
    where = gone("request_logs", cut, bound)
    sql = f"SELECT DISTINCT project FROM request_logs WHERE ({where}) AND notEmpty(media_hashes)"
    return {ProjectId(name) for (name,) in client.query(sql, parameters=bound.values).result_rows}


def _gone_patches(retained: Retained, bound: Bound) -> str:
    """Updates go with their record, wherever they stand; that a record was deleted is never forgotten.

    Those under a key whose record never came go by their own age.
    """
    if retained.condition(Bound(), str) == "1":
        return "0"
    staying = bound.value(_STAYING, "Array(String)")
    keyed = (
        f"(SELECT project, id FROM request_patches WHERE NOT ({_PLAIN}) AND kind NOT IN {staying})"  # sets stay small
    )
    keys = f"SELECT project, id FROM request_keys WHERE (project, id) IN {keyed}"
    with_it = f"(project, id) IN ({keys} AND {_older(retained, 'created_at', bound)})"
    alone = f"{_older(retained, 'accepted_at', bound)} AND (project, id) NOT IN ({keys})"
    return f"kind NOT IN {staying} AND if({_PLAIN}, NOT ({_kept_ids(retained, bound)}), {with_it} OR ({alone}))"


def row_is_kept(retained: Retained, time: str, bound: Bound) -> str:
    """The condition on what names a record by `id` that its row can still be there. `time`: of what names it."""
    by_time = retained.condition(bound, lambda ms: f"{time} >= {bound.time(ms)}")
    return f"if({_PLAIN}, {_kept_ids(retained, bound)}, {by_time})"


def _kept_ids(retained: Retained, bound: Bound) -> str:
    """The condition on ids that carry their record's time."""
    return retained.condition(bound, lambda ms: f"id >= {bound.value(ms << 80, 'UInt128')}")


def _older(retained: Retained, time: str, bound: Bound) -> str:
    kept = retained.condition(bound, lambda ms: f"{time} >= {bound.time(ms)}")
    return "0" if kept == "1" else f"NOT ({kept})"


def _rows_of_parts(client: Client, table: str) -> dict[str, int]:
    sql = "SELECT name, rows FROM system.parts WHERE database = currentDatabase() AND table = {table:String} AND active"
    return {str(name): int(rows) for name, rows in client.query(sql, parameters={"table": table}).result_rows}


def _checked(name: str) -> str:
    """A name that the engine gave, as it may stand in a statement."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"The engine named a part or partition {name!r}.")
    return name
