"""Physical erasure: functions of a client that make the bytes of deleted records leave the store's disk.

A deleted record is a tombstone at once; what it held stays in older versions of its row, in its updates, and in the
files of parts that merges have replaced. Every function here may be repeated, and one that was cut short by a crash is
simply run again: what is left to do is read from the tables themselves, all versions, never from what was noted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver import Client

from ledger.ids import EventId, ProjectId, from_int, to_int
from ledger.report import Kind
from ledger.store.claims import NAMED_CLAIM

ROW_TABLES = ("request_logs", "request_bodies")
"""Where a row's bytes are: every version but the tombstone goes when its partition is rewritten."""

TABLES = (*ROW_TABLES, "request_patches", "dead_letters")

OLD_PARTS_SECONDS = 480
"""How long a replaced part stays on disk (`old_parts_lifetime` of the tables)."""

IDS_PER_STATEMENT = 1000

_KINDS_THAT_STAY = tuple(kind.value for kind in Kind if kind.is_deletion)

_IDS = (
    "SELECT id FROM request_patches WHERE project = {project:String} AND kind IN {staying:Array(String)}"
    " AND (generation, partition, offset) IN (SELECT generation, partition, offset FROM request_deletions"
    " WHERE project = {project:String} AND event_id = {event:UInt128})"
)
"""The records that a deletion took: each carries a delete patch at the deletion's own place."""


DELETIONS_WITH_PROGRESS = (
    "request_deletions FINAL LEFT JOIN (SELECT generation, partition, max(offset) + 1 AS reached FROM bus_progress"
    " GROUP BY generation, partition) AS progress USING (generation, partition)"
)
IS_APPLIED = "(applied = 1 AND offset < reached)"
"""Of a row of those: its partition shows nothing any more. A row is written first, what it says comes true after it."""

DELETIONS_BY_GENERATION = (
    "SELECT project, event_id, generation, any(scope) AS scope, any(what) AS what, min(accepted_at) AS accepted_at,"
    " sum(found) AS total, max(found) AS most, groupArray((generation, partition, offset)) AS places,"
    f" uniqExactIf(partition, {IS_APPLIED}) AS settled, max(partitions) AS needed FROM {DELETIONS_WITH_PROGRESS}"
)
"""To be grouped by project, event_id and generation: a generation of the bus may have another number of partitions.

A deletion that was asked for again in a later generation is applied when one of them has applied it everywhere.
"""


@dataclass(frozen=True, slots=True)
class Erasable:
    """A deletion, as the one whose bytes are meant: its records carry a delete patch at its place."""

    project: ProjectId
    event_id: EventId

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the statements here bind."""
        return {"project": self.project, "event": to_int(self.event_id), "staying": list(_KINDS_THAT_STAY)}


def deleted_among(client: Client, of: Erasable, ids: Sequence[int]) -> set[int]:
    """Which of these ids, as numbers, the deletion took."""
    parameters = {**of.parameters, "among": list(ids)}
    found = client.query(f"{_IDS} AND id IN {{among:Array(UInt128)}}", parameters=parameters)
    return {int(id_) for (id_,) in found.result_rows}


def partitions_to_rewrite(client: Client, table: str, of: Erasable) -> list[str]:
    """The partitions whose active parts hold a version with content of a deleted record."""
    sql = (
        f"SELECT DISTINCT _partition_id FROM {table}"
        f" WHERE project = {{project:String}} AND is_deleted = 0 AND id IN ({_IDS})"
    )
    return sorted(partition for (partition,) in client.query(sql, parameters=of.parameters).result_rows)


def bytes_left(client: Client, of: Erasable) -> bool:
    """Whether an active part still holds a version with content of a deleted record."""
    return any(partitions_to_rewrite(client, table, of) for table in ROW_TABLES)


def named_by_live_rows(client: Client, project: ProjectId, hashes: Sequence[str]) -> set[str]:
    """Which of these blobs a row of the project, as it stands now, names."""
    sql = (
        "SELECT DISTINCT arrayJoin(arrayIntersect(media_hashes, {hashes:Array(String)})) FROM request_logs FINAL"
        " WHERE project = {project:String} AND is_deleted = 0 AND hasAny(media_hashes, {hashes:Array(String)})"
    )
    found = client.query(sql, parameters={"project": project, "hashes": list(hashes)})
    return {text for (text,) in found.result_rows}


def rewrite(client: Client, of: Erasable) -> int:
    """Merge the partitions that hold versions with content, so that only tombstones stay in active parts.

    The number of partitions that were asked to merge; 0 when no active part held anything. A merge that was under way
    can keep the engine from doing it: ask again until the answer is 0.
    """
    asked = 0
    for table in ROW_TABLES:
        for partition in partitions_to_rewrite(client, table, of):
            client.command(f"OPTIMIZE TABLE {table} PARTITION ID '{int(partition):d}' FINAL")
            asked += 1
    return asked


def blank_patches(client: Client, of: Erasable) -> int:
    """Take what the updates of deleted records said out of every active part. How many records had any.

    The patches themselves stay, since they count in the version of a row. By a mutation, which writes parts anew.
    """
    sql = (
        "SELECT DISTINCT id FROM request_patches WHERE project = {project:String}"
        f" AND body != '{{}}' AND kind NOT IN {{staying:Array(String)}} AND id IN ({_IDS})"
    )
    ids = [int(id_) for (id_,) in client.query(sql, parameters=of.parameters).result_rows]
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        client.command(
            "ALTER TABLE request_patches UPDATE body = '{}' WHERE project = {project:String}"
            " AND kind NOT IN {staying:Array(String)} AND id IN {ids:Array(UInt128)}",
            parameters={**of.parameters, "ids": ids[start : start + IDS_PER_STATEMENT]},
            settings={"mutations_sync": 2},
        )
    return len(ids)


def mutations_under_way(client: Client) -> int:
    """How many mutations of the tables the engine has not finished: to ask for one of them again would queue it."""
    sql = (
        "SELECT count() FROM system.mutations WHERE database = currentDatabase()"
        " AND table IN {tables:Array(String)} AND NOT is_done"
    )
    return int(client.query(sql, parameters={"tables": list(TABLES)}).result_rows[0][0])


DeadPlace = tuple[int, int, int]
"""Generation, partition and offset of a dead letter."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What of a dead letter says whose it is."""

    place: DeadPlace
    record_id: str  # '' where its envelope could not be read
    key: bytes
    claims: tuple[str, ...] = ()  # where its body is kept, when it is not in the dead letter


def dead_letters_of(client: Client, project: ProjectId, after: DeadPlace, limit: int) -> list[DeadLetter]:
    """The project's dead letters, in order of their places; one that has died again after a replay counts once."""
    sql = (
        "SELECT generation, partition, offset, any(record_id), hex(any(ifNull(key, ''))),"
        f" arrayFilter(name -> name != '', groupUniqArray({NAMED_CLAIM})) FROM dead_letters"
        " WHERE project = {project:String}"
        " AND (generation, partition, offset) > ({generation:UInt8}, {partition:UInt16}, {offset:UInt64})"
        " GROUP BY generation, partition, offset ORDER BY generation, partition, offset LIMIT {limit:UInt32}"
    )
    found = client.query(sql, parameters={**_place(after), "project": project, "limit": limit})
    return [
        DeadLetter((row[0], row[1], row[2]), row[3], bytes.fromhex(row[4]), tuple(row[5])) for row in found.result_rows
    ]


def dead_letter_bytes(client: Client, place: DeadPlace) -> bytes | None:
    """The body of a dead letter (empty where it has none); None when it is not there."""
    sql = (
        "SELECT hex(ifNull(body, '')) FROM dead_letters WHERE generation = {generation:UInt8}"
        " AND partition = {partition:UInt16} AND offset = {offset:UInt64} LIMIT 1"
    )
    found = client.query(sql, parameters=_place(place)).result_rows
    return bytes.fromhex(found[0][0]) if found else None


def drop_dead_letters(client: Client, places: Sequence[DeadPlace]) -> None:
    """Take these dead letters out of every active part. First it is noted that they never come back."""
    if not places:
        return
    columns = ["generation", "partition", "offset"]
    client.insert(
        "erased_dead_letters", [list(place) for place in places], column_names=columns, settings={"async_insert": 0}
    )
    values = ", ".join(f"({generation:d}, {partition:d}, {offset:d})" for generation, partition, offset in places)
    client.command(
        f"ALTER TABLE dead_letters DELETE WHERE (generation, partition, offset) IN ({values})",
        settings={"mutations_sync": 2},
    )


def engine_now(client: Client) -> int:
    """Seconds since 1970 by the engine's clock, by which parts are dated."""
    return int(client.query("SELECT toUnixTimestamp(now())").result_rows[0][0])


def old_parts(client: Client, until: int) -> int:
    """How many parts that were replaced up to this moment (seconds since 1970) still lie on disk."""
    sql = (
        "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table IN {tables:Array(String)}"
        " AND NOT active AND toUnixTimestamp(remove_time) <= {until:Int64}"
    )
    found = client.query(sql, parameters={"tables": list(TABLES), "until": until})
    return int(found.result_rows[0][0])


def _place(place: DeadPlace) -> dict[str, int]:
    return dict(zip(("generation", "partition", "offset"), place, strict=True))


@dataclass(frozen=True, slots=True)
class Applied:
    """A deletion of which nothing is visible any more, and whose bytes may still be on disk."""

    erasable: Erasable
    user_id: str | None  # of a deletion by user
    records: int  # that it has taken so far
    places: Mapping[tuple[int, int], int]  # (generation, partition) → the offset up to which it was judged

    def covers(self, place: DeadPlace) -> bool:
        """Whether something accepted there came before the deletion. What came after it stays."""
        generation, partition, offset = place
        return offset < self.places.get((generation, partition), 0) or generation < min(self.places)[0]


def applied(client: Client) -> list[Applied]:
    """The deletions that every partition to which they went has applied and whose bytes are not known to be gone."""
    sql = (
        "SELECT project, event_id, any(scope), any(what), sum(total), groupArrayArray(places)"
        f" FROM ({DELETIONS_BY_GENERATION} GROUP BY project, event_id, generation) AS asked LEFT JOIN"
        " (SELECT project, event_id, records + 1 AS done FROM request_erasures FINAL WHERE erased_at IS NOT NULL)"
        " AS erased USING (project, event_id) GROUP BY project, event_id"
        " HAVING max(settled >= needed) AND sum(total) + 1 > any(done)"
        " ORDER BY min(accepted_at)"
    )
    found = client.query(sql).result_rows
    return [_applied(row) for row in found]


def _applied(row: Sequence[Any]) -> Applied:
    project, event_id, scope, what, records, places = row
    erasable = Erasable(ProjectId(project), EventId(from_int(event_id)))
    return Applied(erasable, what if scope == "user" else None, records, _latest(places))


def _latest(places: Sequence[DeadPlace]) -> dict[tuple[int, int], int]:
    latest: dict[tuple[int, int], int] = {}
    for generation, partition, offset in sorted(places):
        latest[generation, partition] = offset
    return latest
