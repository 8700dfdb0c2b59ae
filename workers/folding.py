"""All accepted events of one id → its row, whatever order or how often they arrive.

The order that counts is that of acceptance: the position on the bus, never a clock. A row's version grows with the set
of events folded into it, so that of two copies of a row the one that knows more wins; equal versions are equal rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ledger.bus import Position
from ledger.ids import ProjectId, created_at_ms_of, is_keyed
from ledger.patch import KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey
from ledger.store import Identity, RequestLogStore
from workers.decoding import Accepted, RejectCode, Rejected
from workers.deriving import Derived
from workers.media import Blob
from workers.normalising import Normalised, Update
from workers.updating import apply, blobs_of, merge, needs_bodies

MAX_EVENTS_PER_RECORD = 60_000
"""Beyond this an id's updates are dead-lettered: the count in the version must never wrap."""

Stored = TypeVar("Stored", KeyEntry, Patch)
Event = TypeVar("Event", Normalised, Update)

Price = Callable[[Derived], RequestLog]


@dataclass(frozen=True, slots=True)
class FoldedRow:
    """A row to write, the deliveries of this chunk that it carries, and whether its heavy columns are written too."""

    row: RequestLog
    carries: tuple[Accepted, ...]
    patches: tuple[Patch, ...] = ()  # of this chunk: voided when the store refuses the row


@dataclass(frozen=True, slots=True)
class Fold:
    """What one chunk changes, in the order in which it is written."""

    entries: list[KeyEntry] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    blobs: dict[tuple[ProjectId, str], Blob] = field(default_factory=dict)  # by project and hash
    rows: list[FoldedRow] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def version_of(highest: Position, events: int) -> int:
    """Generation (8 bits), highest offset (40), number of events (16): grows whenever an event is added."""
    return highest.generation << 56 | highest.offset << 16 | min(events, 0xFFFF)


async def fold(reports: Sequence[Normalised], updates: Sequence[Update], store: RequestLogStore, price: Price) -> Fold:
    """What these events, on top of all that is stored of their ids, make of their rows.

    Folding the next chunk must wait until this one is written: it reads what this one writes.
    """
    folded = Fold()
    identities = {report.event.identity for report in reports} | {update.event.identity for update in updates}
    entries = _by_id(await store.key_entries({identity for identity in identities if is_keyed(identity[1])}))
    stored = _by_id(await store.patches(identities))
    effective = [report for report in _in_order(reports) if _is_the_record(report.event, entries, folded)]
    carried = _add_patches(_in_order(updates), stored, folded)
    await _fold_rows(effective, carried, _Known(entries, stored), store, price, folded)
    return folded


def acceptance(position: Position) -> tuple[int, int, int]:
    """The order of acceptance: an id's events share a partition within a generation."""
    return position.generation, position.offset, position.partition


@dataclass(frozen=True, slots=True)
class _Known:
    entries: Mapping[Identity, list[KeyEntry]]
    patches: Mapping[Identity, list[Patch]]

    def created_at(self, identity: Identity) -> int | None:
        """When the record was created, if that can be known without its row."""
        if not is_keyed(identity[1]):
            return created_at_ms_of(identity[1])
        found = self.entries.get(identity)
        return found[0].created_at if found else None


def _in_order(items: Sequence[Event]) -> list[Event]:
    """Each position once, in the order of acceptance."""
    once = {item.event.position: item for item in items}
    return sorted(once.values(), key=lambda item: acceptance(item.event.position))


def _is_the_record(event: Accepted, entries: dict[Identity, list[KeyEntry]], folded: Fold) -> bool:
    """Whether this report makes the row. A retry under the same key does not; another body under it is rejected."""
    if not is_keyed(event.envelope.record_id):
        return True
    known = entries.setdefault(event.identity, [])
    if not known:
        entry = _entry_of(event)
        known.append(entry)
        folded.entries.append(entry)
        return True
    first = known[0]
    if first.position == event.position:
        return True
    if first.body_hash != event.body_hash():
        folded.rejected.append(_reused(event))
    return False


def _entry_of(event: Accepted) -> KeyEntry:
    project, id_ = event.identity
    return KeyEntry(project, id_, event.position, event.envelope.created_at, event.body_hash())


def _reused(event: Accepted) -> Rejected:
    return Rejected(event.delivery, RejectCode.KEY_REUSED, "The idempotency key was used before, with another body.")


def _add_patches(
    updates: Iterable[Update], stored: dict[Identity, list[Patch]], folded: Fold
) -> dict[Identity, list[Update]]:
    """Put the chunk's updates among the stored ones; what was added, by id."""
    carried: dict[Identity, list[Update]] = defaultdict(list)
    of_ids: dict[Identity, _PatchesOfAnId] = {}
    for update in updates:
        identity = update.event.identity
        known = of_ids.get(identity) or of_ids.setdefault(identity, _PatchesOfAnId(stored.get(identity, ())))
        rejected = known.fault_of(update)
        if rejected:
            folded.rejected.append(rejected)
            continue
        if known.add(update.patch):
            folded.patches.append(update.patch)
        carried[identity].append(update)
    stored |= {identity: known.in_order() for identity, known in of_ids.items()}
    return carried


class _PatchesOfAnId:
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

    def in_order(self) -> list[Patch]:
        """All of them, in the order of acceptance."""
        return sorted(self._by_position.values(), key=lambda patch: acceptance(patch.position))

    def fault_of(self, update: Update) -> Rejected | None:
        """Why the update cannot take part, if it cannot."""
        event, patch = update.event, update.patch
        again = self._by_position.get(patch.position)
        if again is not None and again.is_voided:
            return Rejected(event.delivery, RejectCode.ROW_REFUSED, "The row was refused with this update before.")
        if self._first_of_event.get(patch.event_id, patch).body_hash != patch.body_hash:
            return _reused(event)
        if again is None and len(self._by_position) >= MAX_EVENTS_PER_RECORD:
            return Rejected(event.delivery, RejectCode.TOO_MANY_EVENTS, f"More than {MAX_EVENTS_PER_RECORD} events.")
        return None


async def _fold_rows(
    reports: Sequence[Normalised],
    carried: Mapping[Identity, list[Update]],
    known: _Known,
    store: RequestLogStore,
    price: Price,
    folded: Fold,
) -> None:
    bases: dict[Identity, tuple[RequestLog, tuple[Accepted, ...]]] = {}
    for report in reports:
        bases[report.event.identity] = price(report.derived), (report.event,)
        folded.blobs.update({(report.event.envelope.project, blob.sha256): blob for blob in report.blobs})
    for row in await _stored_rows([identity for identity in carried if identity not in bases], known, store):
        bases[row.project, row.id] = row, ()
    for identity, (base, carries) in bases.items():
        patches = known.patches.get(identity, [])
        merged = merge(patches)
        folded.blobs.update({(identity[0], blob.sha256): blob for blob in blobs_of(merged)})
        mine = carried.get(identity, [])
        row = _positioned(apply(base, merged, price), base.position, patches)
        carries = (*carries, *(update.event for update in mine))
        folded.rows.append(FoldedRow(row, carries, tuple(update.patch for update in mine)))


async def _stored_rows(wanted: Sequence[Identity], known: _Known, store: RequestLogStore) -> list[RequestLog]:
    """The current rows of ids that are updated without their create in this chunk; heavy columns where needed."""
    rows: list[RequestLog] = []
    for with_bodies in (False, True):
        keys = []
        for project, id_ in wanted:
            created_at = known.created_at((project, id_))
            if created_at is not None and needs_bodies(merge(known.patches[project, id_])) is with_bodies:
                keys.append(RowKey(project, created_at, id_))
        rows.extend(await store.rows(keys, with_bodies=with_bodies))
    return rows


def _positioned(row: RequestLog, base: Position, patches: Sequence[Patch]) -> RequestLog:
    highest = max([base, *(patch.position for patch in patches)], key=acceptance)
    # Taking a patch out of force changes the row too, so it counts like an event.
    return replace(row, position=highest, version=version_of(highest, 1 + sum(1 + patch.voidings for patch in patches)))


def _by_id(items: Sequence[Stored]) -> dict[Identity, list[Stored]]:
    grouped: dict[Identity, list[Stored]] = defaultdict(list)
    for item in sorted(items, key=lambda item: acceptance(item.position)):
        grouped[item.project, item.id].append(item)
    return dict(grouped)
