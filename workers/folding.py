"""All accepted events of one id → its row, whatever order or how often they arrive.

The order that counts is that of acceptance: the position on the bus, never a clock. A row's version grows with the set
of events folded into it, so that of two copies of a row the one that knows more wins; equal versions are equal rows.
A deletion among the events is final: what is left of the record is a tombstone, and nothing else of it is stored again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import msgspec

from ledger.bus import Position
from ledger.deletion import Deletion, Scope
from ledger.ids import ProjectId, is_keyed
from ledger.patch import EMPTY, KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey, version_of
from ledger.store import Identity, RequestLogStore
from workers.decoding import Accepted, Rejected
from workers.deriving import Price
from workers.known import Base, Known
from workers.media import Blob
from workers.normalising import Normalised, Update
from workers.patches import PatchesOfARecord, acceptance, reused
from workers.tombstones import tombstone
from workers.updating import apply, blobs_of, merge

Stored = TypeVar("Stored", KeyEntry, Patch)
Event = TypeVar("Event", Normalised, Update)


class FoldedRow(msgspec.Struct, frozen=True):
    """A row to write, and the deliveries of this chunk that it carries. One is made for every report."""

    row: RequestLog
    carries: tuple[Accepted, ...]
    patches: tuple[Patch, ...] = ()  # of this chunk: voided when the store refuses the row
    undone: Callable[[], RequestLog] | None = None  # the row with them voided, where its stored bodies are replaced


@dataclass(frozen=True, slots=True)
class Fold:
    """What one chunk changes, in the order in which it is written."""

    deletions: list[Deletion] = field(default_factory=list)
    entries: list[KeyEntry] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    blobs: dict[tuple[ProjectId, str], Blob] = field(default_factory=dict)  # by project and hash
    rows: list[FoldedRow] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    users_then: dict[RowKey, str | None] = field(default_factory=dict)  # of rows that are newer than `Chunk.until`


@dataclass(frozen=True, slots=True)
class Chunk:
    """The events to fold."""

    reports: Sequence[Normalised] = ()
    updates: Sequence[Update] = ()
    deletes: Sequence[Patch] = ()  # that a scope's deletion made; no delivery is theirs alone
    until: Position | None = None  # rows as they were when this was accepted; others are left as they are


async def fold(chunk: Chunk, store: RequestLogStore, price: Price) -> Fold:
    """What these events, on top of all that is stored of their ids, make of their rows.

    Folding the next chunk must wait until this one is written: it reads what this one writes.
    """
    folded = Fold()
    identities = {(patch.project, patch.id) for patch in chunk.deletes}
    identities |= {report.event.identity for report in chunk.reports}
    identities |= {update.event.identity for update in chunk.updates}
    keyed = {identity for identity in identities if is_keyed(identity[1])}
    entries = by_id(await store.key_entries(keyed))
    stored = by_id(await store.patches(identities))
    effective = _records(chunk.reports, keyed, entries, folded)
    carried = _add_patches(chunk, stored, folded)
    known = Known(entries, stored, chunk.until)
    _empty_and_note(known, carried, folded)
    await _fold_rows(effective, carried, known, store, price, folded)
    return folded


def _in_order(items: Sequence[Event]) -> list[Event]:
    """Each position once, in the order of acceptance."""
    once = {item.event.position: item for item in items}
    return sorted(once.values(), key=lambda item: acceptance(item.event.position))


def _records(
    reports: Sequence[Normalised], keyed: Collection[Identity], entries: dict[Identity, list[KeyEntry]], folded: Fold
) -> dict[Identity, Normalised]:
    """The report that makes the row of each record."""
    found: dict[Identity, Normalised] = {}
    for report in _in_order(reports):
        identity = report.event.identity
        if identity not in keyed or _is_the_record(report.event, entries, folded):
            found[identity] = report
    return found


def _is_the_record(event: Accepted, entries: dict[Identity, list[KeyEntry]], folded: Fold) -> bool:
    """Whether this report makes the row. A retry under the same key does not; another body under it is rejected."""
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
        folded.rejected.append(reused(event))
    return False


def _entry_of(event: Accepted) -> KeyEntry:
    project, id_ = event.identity
    return KeyEntry(project, id_, event.position, event.envelope.created_at, event.body_hash())


def _add_patches(chunk: Chunk, stored: dict[Identity, list[Patch]], folded: Fold) -> dict[Identity, list[Update]]:
    """Put the chunk's updates among the stored ones; what was added, by id."""
    carried: dict[Identity, list[Update]] = defaultdict(list)
    of_ids: dict[Identity, PatchesOfARecord] = {}

    def patches_of(identity: Identity) -> PatchesOfARecord:
        return of_ids.get(identity) or of_ids.setdefault(identity, PatchesOfARecord(stored.get(identity, ())))

    for update in _in_order(chunk.updates):
        identity = update.event.identity
        known = patches_of(identity)
        rejected = known.fault_of(update)
        if rejected:
            folded.rejected.append(rejected)
            continue
        patch, is_new = known.in_force(update)
        if is_new:
            folded.patches.append(patch)
        carried[identity].append(replace(update, patch=patch))
    for patch in chunk.deletes:
        identity = (patch.project, patch.id)
        if patches_of(identity).add(patch):
            folded.patches.append(patch)
        carried[identity] += []  # its row is folded
    stored |= {identity: known.in_order() for identity, known in of_ids.items()}
    return carried


def _empty_and_note(known: Known, carried: Mapping[Identity, list[Update]], folded: Fold) -> None:
    """Of a deleted record's updates nothing is kept but that they were there; what deleted it is noted."""
    for at, patch in enumerate(folded.patches):
        if known.is_deleted((patch.project, patch.id)):
            folded.patches[at] = replace(patch, body=EMPTY)
    for identity, updates in carried.items():
        found = int(known.created_at(identity) is not None)
        folded.deletions.extend(_noted(update.patch, found) for update in updates if update.patch.deletes)


def _noted(patch: Patch, found: int) -> Deletion:
    return Deletion(
        patch.project, patch.event_id, patch.position, Scope.ID, patch.id, patch.accepted_at, found, applied=True
    )


async def _fold_rows(
    reports: Mapping[Identity, Normalised],
    carried: Mapping[Identity, list[Update]],
    known: Known,
    store: RequestLogStore,
    price: Price,
    folded: Fold,
) -> None:
    bases = {}
    for identity, report in reports.items():
        if known.is_complete(identity):  # most are: the long way below takes three times as long for the same row
            folded.rows.append(FoldedRow(report.row, (report.event,)))
            folded.blobs.update({(identity[0], blob.sha256): blob for blob in report.blobs})
        else:
            bases[identity] = Base(report.row, report)
    wanted = [identity for identity in carried if identity not in reports]
    bases |= {(row.project, row.id): Base(row) for row in await _stored_rows(wanted, known, store)}
    bases |= {identity: base for identity in wanted if identity not in bases and (base := known.grave(identity))}
    for identity, base in bases.items():
        row = _row_of(identity, base, known, price, folded)
        if row is None:
            continue
        mine = carried.get(identity, [])
        reported = (base.report.event,) if base.report else ()
        carries = (*reported, *(update.event for update in mine))
        patches = tuple(update.patch for update in mine)
        replaces_bodies = base.report is None and row.bodies is not None and not row.is_deleted
        undone = partial(_without, patches, base.row, known, price) if replaces_bodies else None
        folded.rows.append(FoldedRow(row, carries, patches, undone))


def _row_of(identity: Identity, base: Base, known: Known, price: Price, folded: Fold) -> RequestLog | None:
    """The row to write, if any; of a deleted record nothing is priced again and no blob is kept."""
    if known.is_deleted(identity):
        patches = known.patches[identity]
        dead = tombstone(base.row.key, patches)
        return _positioned(dead, base.row.position, patches) if known.until is None else None
    if not known.in_time(base.row.position):
        folded.users_then[base.row.key] = known.user_then(base.row)
        return None
    patches = known.patches_of(identity)
    merged = merge(patches)
    for blob in (*(base.report.blobs if base.report else ()), *blobs_of(merged)):
        folded.blobs[identity[0], blob.sha256] = blob
    return _positioned(apply(base.row, merged, price), base.row.position, patches)


def _without(patches: Sequence[Patch], base: RequestLog, known: Known, price: Price) -> RequestLog:
    """The stored row once these patches are voided."""
    refused = {patch.position for patch in patches if not patch.deletes}
    left = [
        replace(patch, voidings=patch.voidings + 1) if patch.position in refused else patch
        for patch in known.patches_of((base.project, base.id))
    ]
    return _positioned(apply(base, merge(left), price), base.position, left)


async def _stored_rows(wanted: Sequence[Identity], known: Known, store: RequestLogStore) -> list[RequestLog]:
    """The current rows of ids that are updated without their create in this chunk; heavy columns where needed."""
    rows: list[RequestLog] = []
    for with_bodies in (False, True):
        keys = []
        for project, id_ in wanted:
            created_at = known.created_at((project, id_))
            if created_at is not None and known.needs_bodies((project, id_)) is with_bodies:
                keys.append(RowKey(project, created_at, id_))
        rows.extend(await store.rows(keys, with_bodies=with_bodies))
    return rows


def _positioned(row: RequestLog, base: Position, patches: Sequence[Patch]) -> RequestLog:
    highest = max([base, *(patch.position for patch in patches)], key=acceptance)
    # Taking a patch out of force changes the row too, so it counts like an event.
    version = version_of(highest, 1 + sum(1 + patch.voidings for patch in patches))
    return msgspec.structs.replace(row, position=highest, version=version)


def by_id(items: Sequence[Stored]) -> dict[Identity, list[Stored]]:
    """The items of each record, in the order of acceptance."""
    grouped: dict[Identity, list[Stored]] = defaultdict(list)
    for item in sorted(items, key=lambda item: acceptance(item.position)):
        grouped[item.project, item.id].append(item)
    return dict(grouped)
