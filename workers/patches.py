"""The updates and deletions of one record: which of them take part, in what order, and which are refused."""

from collections.abc import Sequence
from dataclasses import replace

from ledger.bus import Position
from ledger.patch import Patch
from workers.decoding import Accepted, RejectCode, Rejected
from workers.normalising import Update

MAX_EVENTS_PER_RECORD = 60_000
"""Beyond this an id's updates are dead-lettered: the count in the version must never wrap."""


def acceptance(position: Position) -> tuple[int, int, int]:
    """The order of acceptance: an id's events share a partition within a generation."""
    return position.generation, position.offset, position.partition


def reused(event: Accepted) -> Rejected:
    """The event as a dead letter: its idempotency key was used for something else."""
    return Rejected(event.delivery, RejectCode.KEY_REUSED, "The idempotency key was used before, with another body.")


class PatchesOfARecord:
    """Every known patch of one record, found by position and by event."""

    def __init__(self, stored: Sequence[Patch]) -> None:
        self._by_position = {patch.position: patch for patch in stored}
        self._first_of_event = {patch.event_id: patch for patch in reversed(stored)}

    def add(self, patch: Patch) -> bool:
        """Whether the patch is new."""
        if patch.position in self._by_position:
            return False
        self._by_position[patch.position] = patch
        first = self._first_of_event.setdefault(patch.event_id, patch)
        if acceptance(patch.position) < acceptance(first.position):
            self._first_of_event[patch.event_id] = patch
        return True

    def in_force(self, update: Update) -> tuple[Patch, bool]:
        """The update's patch as it counts from here on, and whether that has to be written.

        A replay puts a voided patch in force again. Its number says with how many voidings, so that the same replay
        read again, or the original delivery after it, changes nothing.
        """
        stored = self._by_position.get(update.patch.position)
        patch = replace(update.patch, voidings=2 * update.event.delivery.replays)
        if stored is not None and stored.voidings >= patch.voidings:
            return stored, False
        if not self.add(patch):
            self._by_position[patch.position] = patch
        return patch, True

    def in_order(self) -> list[Patch]:
        """All of them, in the order of acceptance."""
        return sorted(self._by_position.values(), key=lambda patch: acceptance(patch.position))

    def fault_of(self, update: Update) -> Rejected | None:
        """Why the update cannot take part, if it cannot."""
        event, patch = update.event, update.patch
        if patch.deletes:
            return None  # takes part always
        again = self._by_position.get(patch.position)
        if again is not None and again.is_voided and again.voidings > 2 * event.delivery.replays:
            return Rejected(event.delivery, RejectCode.ROW_REFUSED, "The row was refused with this update before.")
        if self._first_of_event.get(patch.event_id, patch).body_hash != patch.body_hash:
            return reused(event)
        if again is None and len(self._by_position) >= MAX_EVENTS_PER_RECORD:
            return Rejected(event.delivery, RejectCode.TOO_MANY_EVENTS, f"More than {MAX_EVENTS_PER_RECORD} events.")
        return None
