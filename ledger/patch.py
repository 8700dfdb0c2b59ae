"""What the store remembers of events that are not rows: updates, and the first use of an idempotency key."""

from dataclasses import dataclass

from ledger.bus import Position
from ledger.ids import EventId, ProjectId, RecordId
from ledger.report import Kind

EMPTY = "{}"
"""The body of a patch that changes no field."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One accepted update or deletion of a record, as it stood on the bus."""

    project: ProjectId
    id: RecordId
    position: Position
    event_id: EventId  # the same for a client's retry of the update
    kind: Kind
    accepted_at: int  # milliseconds since 1970
    price_version: str
    body_hash: str
    body: str  # JSON text: the fields to replace
    voidings: int = 0  # odd: its row was refused, so it counts but changes nothing; raised again by a replay

    @property
    def is_voided(self) -> bool:
        """Whether the patch is out of force."""
        return self.voidings % 2 == 1

    @property
    def deletes(self) -> bool:
        """Whether the record is gone for good, whatever else is known of it: a deletion is never out of force."""
        return self.kind.is_deletion


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One stored attempt under an idempotency key. The lowest position of an id is the record; the rest are retries."""

    project: ProjectId
    id: RecordId
    position: Position
    created_at: int  # milliseconds since 1970
    body_hash: str
