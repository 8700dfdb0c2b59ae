"""Which records of the log the store accounts for: by a row, a tombstone, a patch, a deletion or a dead letter.

A second use of an idempotency key is taken for a retry of the first, whose row accounts for it: whether it was one is
told by its body, which is not read here. What is no longer kept is not expected to be there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver import Client

from ledger.bus import Delivery
from ledger.filtering.retained import EVERYTHING, Retained
from ledger.ids import RecordId, created_at_ms_of, from_int, is_keyed, to_int
from ledger.instants import EARLIEST_STORED_MS, LATEST_STORED_MS
from ledger.report import Envelope, Kind
from ledger.store import Identity
from ledger.store.columns import time_text
from ledger.store.row_reads import by_project

Place = tuple[int, int, int]
"""Generation, partition, offset of an acceptance."""

REPORTS = frozenset({Kind.OPENPIPE_REPORT, Kind.OPENPIPE_REPORT_ANTHROPIC, Kind.PEZZO_REQUEST, Kind.LOG_INSERT})
"""Kinds that make a row. Every other kind leaves its place in a table of events."""

_OTHER_EVENTS = ("request_deletions", "dead_letters", "erased_dead_letters")
"""Tables, of those that there are, that name an event by its generation, partition and offset."""

_OFFSET_BITS, _COUNT_BITS = 40, 16


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the log; without an envelope that can be read it can only be a dead letter."""

    delivery: Delivery
    envelope: Envelope | None

    @property
    def place(self) -> Place:
        """Where it was accepted."""
        at = self.delivery.position
        return at.generation, at.partition, at.offset


@dataclass(frozen=True, slots=True)
class _Entry:
    """The first use of an idempotency key."""

    created_at: int
    place: Place


@dataclass(frozen=True, slots=True)
class _Row:
    """The newest version of a row, and whether its heavy columns are there or need not be."""

    highest: tuple[int, int]  # generation and offset of the last event that it was folded from
    has_body: bool


def is_storable(envelope: Envelope) -> bool:
    """Whether the store can be asked for this record; one that it cannot hold is a dead letter."""
    try:
        created_at = created_at_ms_of(envelope.record_id)
        canonical = from_int(to_int(envelope.record_id)) == envelope.record_id
    except ValueError:
        return False
    return canonical and (created_at is None or EARLIEST_STORED_MS <= created_at <= LATEST_STORED_MS)


def unaccounted(client: Client, records: Sequence[Record], retained: Retained = EVERYTHING) -> list[Record]:
    """The records of which the store knows nothing, or an older state of their row than they made.

    Not those whose row is no longer kept: its deletion for age has taken them away, or will.
    """
    by_identity: dict[Identity, list[Record]] = defaultdict(list)
    for record in records:
        if record.envelope is not None:
            by_identity[record.envelope.project, record.envelope.record_id].append(record)
    stored = _Stored(client, by_identity)
    suspects = [
        record for record in records if not stored.accounts_for(record) and stored.is_expected(record, retained)
    ]
    elsewhere = _other_events(client, [record.place for record in suspects])
    return [record for record in suspects if record.place not in elsewhere]


class _Stored:
    """What the store has of these ids."""

    def __init__(self, client: Client, identities: Mapping[Identity, Sequence[Record]]) -> None:
        updated = [key for key, found in identities.items() if any(not _makes_a_row(record) for record in found)]
        self._patches = set(_patches(client, updated))
        self._entries = dict(_entries(client, [key for key in identities if is_keyed(key[1])]))
        created = {key: at for key in identities if (at := self._created_at(key)) is not None}
        self._rows = dict(_rows(client, created))

    def accounts_for(self, record: Record) -> bool:
        """Whether nothing that this record has made is missing."""
        if record.envelope is None:
            return False
        identity = record.envelope.project, record.envelope.record_id
        generation, _, offset = record.place
        row = self._rows.get(identity)
        if _makes_a_row(record):
            entry = self._entries.get(identity)
            is_retry = entry is not None and entry.place != record.place
            return row is not None and row.has_body and (is_retry or row.highest >= (generation, offset))
        return record.place in self._patches and (row is None or row.highest >= (generation, offset))

    def is_expected(self, record: Record, retained: Retained) -> bool:
        """Whether its row is kept. A deletion is never forgotten, and a dead letter has no time of a row."""
        if record.envelope is None or record.envelope.kind.is_deletion:
            return True
        identity = record.envelope.project, record.envelope.record_id
        since = retained.earliest(record.envelope.project)
        created_at = self._created_at(identity)
        return since is None or (record.envelope.created_at if created_at is None else created_at) >= since

    def _created_at(self, identity: Identity) -> int | None:
        if not is_keyed(identity[1]):
            return created_at_ms_of(identity[1])
        entry = self._entries.get(identity)
        return entry.created_at if entry else None


def _makes_a_row(record: Record) -> bool:
    return record.envelope is not None and record.envelope.kind in REPORTS


def _entries(client: Client, keyed: Sequence[Identity]) -> Iterator[tuple[Identity, _Entry]]:
    sql = (
        "SELECT project, id, argMin(toUnixTimestamp64Milli(created_at), (generation, offset, partition)),"
        " min((generation, offset, partition)) FROM request_keys"
        " WHERE project = {project:String} AND id IN {ids:Array(UInt128)} GROUP BY project, id"
    )
    for project, id_, created_at, (generation, offset, partition) in _by_id(client, sql, keyed):
        yield (project, from_int(id_)), _Entry(created_at, (generation, partition, offset))


def _patches(client: Client, updated: Sequence[Identity]) -> Iterator[Place]:
    sql = (
        "SELECT generation, partition, offset FROM request_patches"
        " WHERE project = {project:String} AND id IN {ids:Array(UInt128)}"
    )
    for generation, partition, offset in _by_id(client, sql, updated):
        yield int(generation), int(partition), int(offset)


def _rows(client: Client, created: Mapping[Identity, int]) -> Iterator[tuple[Identity, _Row]]:
    where = (
        "WHERE project = {project:String} AND created_at IN {times:Array(DateTime64(3, 'UTC'))}"
        " AND id IN {ids:Array(UInt128)} GROUP BY id"
    )
    light = f"SELECT id, max(version), argMax(is_deleted, version) FROM request_logs {where}"
    for project, ids in by_project(list(created)):
        times = [time_text(created[project, id_]) for id_ in ids]
        parameters = {"project": project, "times": times, "ids": [to_int(id_) for id_ in ids]}
        bodies = client.query(f"SELECT id FROM request_bodies {where}", parameters=parameters).result_rows
        with_bodies = {id_ for (id_,) in bodies}
        for id_, version, is_deleted in client.query(light, parameters=parameters).result_rows:
            yield (project, from_int(id_)), _Row(_highest(version), bool(is_deleted) or id_ in with_bodies)


def _by_id(client: Client, sql: str, of: Sequence[Identity]) -> Iterator[Sequence[Any]]:
    for project, ids in by_project(of):
        parameters = {"project": project, "ids": _numbers(ids)}
        yield from client.query(sql, parameters=parameters).result_rows


def _numbers(ids: Iterable[RecordId]) -> list[int]:
    return [to_int(id_) for id_ in ids]


def _highest(version: int) -> tuple[int, int]:
    return version >> (_OFFSET_BITS + _COUNT_BITS), (version >> _COUNT_BITS) & ((1 << _OFFSET_BITS) - 1)


def _other_events(client: Client, places: Sequence[Place]) -> set[Place]:
    """Those of the places that a table of events names."""
    if not places:
        return set()
    found: set[Place] = set()
    for table in _tables_of_events(client):
        sql = f"SELECT generation, partition, offset FROM {table} WHERE offset IN {{offsets:Array(UInt64)}}"
        rows = client.query(sql, parameters={"offsets": sorted({place[2] for place in places})}).result_rows
        found.update((generation, partition, offset) for generation, partition, offset in rows)
    return found


def _tables_of_events(client: Client) -> list[str]:
    sql = (
        "SELECT table FROM system.columns WHERE database = currentDatabase() AND table IN {tables:Array(String)}"
        " AND name IN ('generation', 'partition', 'offset') GROUP BY table HAVING count() = 3"
    )
    return [str(table) for (table,) in client.query(sql, parameters={"tables": list(_OTHER_EVENTS)}).result_rows]
