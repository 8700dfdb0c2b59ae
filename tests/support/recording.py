"""A store and a quarantine that remember: fakes by construction, for tests of what workers write and when."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from ledger.bus import Position
from ledger.bus.kafka_records import partition_of
from ledger.deletion import Deletion, Portion, Scope
from ledger.ids import EventId, ProjectId, to_int
from ledger.patch import KeyEntry, Patch
from ledger.report import Kind, bus_key
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.store import DataRefused, Identity, StoreUnavailable
from tests.support.listing_model import holds
from workers.decoding import Rejected


class Crash(BaseException):
    """The process died here. Not an Exception: nothing may catch it."""


@dataclass(slots=True)
class RememberingStore:
    """Behaves like the tables: what was written stays, the highest version of a key is its row.

    `crash_before` counts down writes; at zero the write does not happen and `Crash` is raised. Two rows of the same
    key and version must be equal: writing another one is an assertion failure.
    """

    crash_before: int | None = None
    away_for: int = 0  # so many writes find the store unavailable
    refuses: Callable[[RequestLog], bool] = lambda _: False  # rows that are refused, with all that come with them
    entries: dict[tuple[Identity, Position], KeyEntry] = field(default_factory=dict)
    patched: dict[tuple[Identity, Position], Patch] = field(default_factory=dict)
    bodies: dict[RowKey, dict[int, Bodies | None]] = field(default_factory=dict)
    lists: dict[RowKey, dict[int, RequestLog]] = field(default_factory=dict)
    deletions: dict[tuple[ProjectId, EventId, Position], Deletion] = field(default_factory=dict)
    progress: dict[tuple[int, int], int] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    async def key_entries(self, of: Collection[Identity]) -> list[KeyEntry]:
        """All stored entries of these ids, in order of position."""
        found = [entry for (identity, _), entry in self.entries.items() if identity in of]
        return sorted(found, key=lambda entry: entry.position)

    async def patches(self, of: Collection[Identity]) -> list[Patch]:
        """All stored patches of these ids, in order of position."""
        found = [patch for (identity, _), patch in self.patched.items() if identity in of]
        return sorted(found, key=lambda patch: patch.position)

    async def rows(self, keys: Collection[RowKey], *, with_bodies: bool) -> list[RequestLog]:
        """The current row of each key that has one; deleted rows are not returned."""
        found = [self.row(key, with_bodies=with_bodies) for key in keys if key in self.lists]
        return [row for row in found if not row.is_deleted]

    async def scope_deletions(self, of: Collection[ProjectId], after: Collection[Position]) -> list[Deletion]:
        """The deletions by user or by filter after one of these places, in order of position."""
        found = [item for item in self.deletions.values() if item.project in of and item.scope is not Scope.ID]
        later = [item for item in found if any(stands_after(item.position, place) for place in after)]
        return sorted(later, key=lambda deletion: deletion.position)

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        """The keys that the deletion is about, in their order."""
        rows = [self.row(key, with_bodies=key in self.bodies) for key in self.lists if key.project == deletion.project]
        found = [row.key for row in rows if not row.is_deleted and is_about(deletion, portion, row)]
        later = [key for key in found if portion.after is None or place_of(key) > place_of(portion.after)]
        return sorted(later, key=place_of)[: portion.limit]

    async def deleted_by(self, deletion: Deletion) -> int:
        """How many patches of a scope's deletion stand at its position."""
        return sum(
            patch.kind is Kind.SCOPE_DELETE and patch.position == deletion.position
            for (identity, _), patch in self.patched.items()
            if identity[0] == deletion.project
        )

    async def insert_deletions(self, items: Sequence[Deletion], token: str) -> None:
        """Remember the deletions; of copies of one, that which is further."""
        self._write("deletions")
        for item in items:
            place = item.project, item.event_id, item.position
            known = self.deletions.get(place)
            if known is None or (item.applied, item.found) >= (known.applied, known.found):
                self.deletions[place] = item

    async def insert_key_entries(self, entries: Sequence[KeyEntry], token: str) -> None:
        """Remember the entries."""
        self._write("keys")
        self.entries |= {((entry.project, entry.id), entry.position): entry for entry in entries}

    async def insert_patches(self, patches: Sequence[Patch], token: str) -> None:
        """Remember the patches; of copies of one, that with the most voidings."""
        self._write("patches")
        for patch in patches:
            place = (patch.project, patch.id), patch.position
            known = self.patched.get(place)
            if known is None or patch.voidings >= known.voidings:
                self.patched[place] = patch

    async def insert_bodies(self, rows: Sequence[RequestLog], token: str) -> None:
        """Remember the heavy columns."""
        self._write("bodies", rows)
        for row in rows:
            self.bodies.setdefault(row.key, {})[row.version] = row.bodies

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        """Remember the light columns."""
        self._write("rows", rows)
        for row in rows:
            versions = self.lists.setdefault(row.key, {})
            light = replace(row, bodies=None)
            assert versions.setdefault(row.version, light) == light, "equal versions must be equal rows"

    async def insert_progress(self, settled: Sequence[Position]) -> None:
        """Remember how far each partition is."""
        self._write("progress")
        for at in settled:
            place = at.generation, at.partition
            self.progress[place] = max(self.progress.get(place, 0), at.offset)

    async def ping(self) -> None:
        """Always there."""

    def row(self, key: RowKey, *, with_bodies: bool = True) -> RequestLog:
        """The row as a reader sees it."""
        versions = self.lists[key]
        light = versions[max(versions)]
        if not with_bodies:
            return light
        heavy = self.bodies[key]
        return replace(light, bodies=heavy[max(heavy)])

    def visible(self) -> dict[Identity, RequestLog]:
        """Every row that is not deleted, by its id. Two rows of one id are an assertion failure."""
        return {identity: row for identity, row in self.all_rows().items() if not row.is_deleted}

    def all_rows(self) -> dict[Identity, RequestLog]:
        """The same with the tombstones."""
        rows = [self.row(key) for key in self.lists]
        by_id = {(row.project, row.id): row for row in rows}
        assert len(by_id) == len(rows), "an id stands in two places"
        return by_id

    def _write(self, table: str, rows: Sequence[RequestLog] = ()) -> None:
        if self.away_for:
            self.away_for -= 1
            raise StoreUnavailable
        if any(self.refuses(row) for row in rows):
            raise DataRefused
        if self.crash_before is not None:
            if self.crash_before == 0:
                raise Crash
            self.crash_before -= 1
        self.writes.append(table)


def stands_after(position: Position, place: Position) -> bool:
    """Whether it is of a later generation, or later in the same partition."""
    if position.generation != place.generation:
        return position.generation > place.generation
    return position.partition == place.partition and position.offset > place.offset


def place_of(key: RowKey) -> tuple[int, int]:
    """The place of a key in its project."""
    return key.created_at, to_int(key.id)


def is_about(deletion: Deletion, portion: Portion, row: RequestLog) -> bool:
    """Whether a row is one that the deletion means, said a second time in plain Python."""
    matches = row.user_id == deletion.what if deletion.scope is Scope.USER else _fulfils(row, json.loads(deletion.what))
    if not matches or (portion.among is not None and row.id not in portion.among):
        return False
    at, own = deletion.position, row.position
    if own.generation == at.generation:
        return own.partition == at.partition and own.offset < at.offset
    share = partition_of(bus_key(row.project, row.id), portion.partitions) == at.partition
    return own.generation < at.generation and (portion.among is not None or share)


def _fulfils(row: RequestLog, filter_: dict[str, Any]) -> bool:
    if "rules" in filter_:
        return holds(row, filter_)
    rules = [
        {"field": name, "operator": "null" if value is None else "=", "value": value} for name, value in filter_.items()
    ]
    return holds(row, {"combinator": "and", "rules": rules})


@dataclass(slots=True)
class RememberingQuarantine:
    """Keeps the dead letters, by position."""

    dead: dict[Position, Rejected] = field(default_factory=dict)

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Remember them."""
        self.dead |= {item.delivery.position: item for item in rejected}


@dataclass(slots=True)
class RememberingBlobs:
    """A blob store in memory."""

    blobs: dict[tuple[ProjectId, str], bytes] = field(default_factory=dict)

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        """Remember the bytes."""
        self.blobs[project, sha256] = data

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        """The bytes, if they were put."""
        return self.blobs.get((project, sha256))
