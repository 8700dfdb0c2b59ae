"""All that is known of the records of a chunk: what decides whether a row is folded anew, and on top of what."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.bus import Position
from ledger.ids import created_at_ms_of, is_keyed
from ledger.patch import KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey
from ledger.store import Identity
from workers.normalising import Normalised
from workers.patches import acceptance
from workers.tombstones import is_deleted, tombstone
from workers.updating import merge, needs_bodies, user_in


@dataclass(frozen=True, slots=True)
class Base:
    """What an id's updates are applied to: its stored row, or that of its report in this chunk."""

    row: RequestLog
    report: Normalised | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The key entries and patches of the chunk's records, stored ones and its own; `until` as in `Chunk`."""

    entries: Mapping[Identity, list[KeyEntry]]
    patches: Mapping[Identity, list[Patch]]
    until: Position | None

    def is_deleted(self, identity: Identity) -> bool:
        """Whether the record is gone for good."""
        return is_deleted(self.patches.get(identity, ()))

    def in_time(self, position: Position) -> bool:
        """Whether this was accepted early enough to take part."""
        return self.until is None or acceptance(position) < acceptance(self.until)

    def patches_of(self, identity: Identity) -> list[Patch]:
        """All that take part, in the order of acceptance."""
        return [patch for patch in self.patches.get(identity, ()) if self.in_time(patch.position)]

    def user_then(self, row: RequestLog) -> str | None:
        """Whose the record was at `until` although its row is newer, as its events tell; None where they do not.

        They do not where the first update that names a user came after it, for the create's own is no longer stored.
        """
        identity = row.project, row.id
        entries = self.entries.get(identity)
        if entries and not self.in_time(entries[0].position):
            return None  # it was not there
        then = merge(self.patches_of(identity))
        if "initiator" in then:
            return user_in(then)
        return None if "initiator" in merge(self.patches.get(identity, ())) else row.user_id

    def is_complete(self, identity: Identity) -> bool:
        """Whether the record's report is all that is known of it: its row is as it was prepared."""
        return self.until is None and not self.patches.get(identity)

    def needs_bodies(self, identity: Identity) -> bool:
        """Whether the fold reads or changes the heavy columns of the stored row."""
        return not self.is_deleted(identity) and needs_bodies(merge(self.patches_of(identity)))

    def grave(self, identity: Identity) -> Base | None:
        """What stands for the row of a deleted record that is not stored, where its place is known."""
        created_at = self.created_at(identity)
        if created_at is None or not self.is_deleted(identity):
            return None
        project, id_ = identity
        return Base(tombstone(RowKey(project, created_at, id_), self.patches[identity]))

    def created_at(self, identity: Identity) -> int | None:
        """When the record was created, if that can be known without its row."""
        if not is_keyed(identity[1]):
            return created_at_ms_of(identity[1])
        found = self.entries.get(identity)
        return found[0].created_at if found else None
