"""How far a deletion is, in one word, and what of its bytes is still somewhere. Pure.

waiting: a partition of the bus has not applied it. applied: nothing of it can be read any more. erased: no part of the
store's disk, no dead letter and no blob holds the bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger.deletion import Scope
from ledger.store.erasure import OLD_PARTS_SECONDS
from ledger.store.erasures import Erasure
from query_api.views import iso

HOUR_MS = 3_600_000
SEGMENT_MS = 24 * HOUR_MS
"""A bus lets go of records in lots: so long after its retention the last of them may still be there."""

BACKUPS = "backups: those that were made before keep the bytes until they are removed"


class State(StrEnum):
    """One word for it."""

    WAITING = "waiting"
    APPLIED = "applied"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of one deletion. Times are milliseconds since 1970."""

    scope: Scope | None  # None: the store has not seen it yet
    accepted_at: int | None
    settled: int  # partitions that have applied it
    partitions: int | None  # that have to; None before it is seen where nobody knows how many the bus has
    erasure: Erasure | None
    dead_letters: int = 0  # of the project, now; counted for a filter, for which they are not judged

    @property
    def state(self) -> State:
        """The one word. The eraser begins only with what is applied everywhere."""
        if self.erasure and self.erasure.erased_at is not None:
            return State.ERASED
        enough = self.partitions is not None and self.settled >= self.partitions
        return State.APPLIED if enough or self.erasure else State.WAITING


def remaining(of: Progress, now: int, bus_hours: int) -> list[str]:
    """Where the bytes still are or may be, with the time at which they will not be, where that is known."""
    return [*_in_the_store(of), *_on_the_bus(of, now, bus_hours), BACKUPS]


def _in_the_store(of: Progress) -> Iterator[str]:
    if of.state is State.WAITING:
        yield "records: not every partition of the bus has applied the deletion yet"
        return
    if of.state is State.APPLIED:
        yield from _until_erased(of.erasure)
    if of.erasure and of.erasure.unread_dead_letters:
        yield (
            f"dead letters: {of.erasure.unread_dead_letters} of the project were kept: they cannot be read,"
            " or contain the id where they do not say whose they are"
        )
    if of.scope is Scope.FILTER and of.dead_letters:
        yield f"dead letters: {of.dead_letters} of the project are not judged by a filter"


def _until_erased(erasure: Erasure | None) -> Iterator[str]:
    if erasure is None or erasure.rewritten_at is None:
        yield "parts: the store's files are written anew by the next sweep"
    elif erasure.old_parts:
        until = iso(erasure.rewritten_at + OLD_PARTS_SECONDS * 1000)
        yield f"old parts: {erasure.old_parts} on disk until {until} or a minute later"
    if erasure is not None and not erasure.blobs_done:
        until = f" until {iso(erasure.blobs_until)}" if erasure.blobs_until else ""
        yield f"blobs: media that no record names any more{until}"


def _on_the_bus(of: Progress, now: int, bus_hours: int) -> Iterator[str]:
    if of.accepted_at is None or now < of.accepted_at + bus_hours * HOUR_MS + SEGMENT_MS:
        yield f"bus: the log keeps the bytes of reports for {bus_hours} h after they were accepted"
