"""Events that come late, from the dead letters, judged by the deletions by scope that were accepted after them.

In order, such a deletion would have seen their record with them. By user that can be told from the record's events,
also where it was changed since. By filter the store is asked about the row as it was then; where the record was changed
since that row is gone, and the late update becomes a dead letter again: only an operator can say what was meant.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.bus import Position
from ledger.deletion import Deletion, Portion, Scope
from ledger.ids import RecordId, created_at_ms_of, is_keyed
from ledger.patch import KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey
from ledger.store import Identity
from workers.decoding import Accepted, RejectCode, Rejected
from workers.deleting import Parts, QuestionRefused, delete_all, note_as_applied, patch_of, store_chunk
from workers.folding import Chunk, by_id, fold
from workers.normalising import Normalised, Update
from workers.patches import acceptance
from workers.retrying import retrying
from workers.tombstones import is_deleted
from workers.updating import merge, user_in
from workers.writing import Lease

_UNDECIDED = (
    "A deletion by filter came after this update, and the record was changed after that: whether the deletion means the"
    " record with this update cannot be told any more. Ask for the same deletion again, then replay this."
)
_REFUSED = "The store does not take the question of a deletion by filter: late events are not judged by it."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Late:
    """What was read again from the dead letters; deletions by id are final anyway."""

    reports: Sequence[Normalised]
    updates: Sequence[Update]

    @property
    def events(self) -> list[Accepted]:
        """Their events."""
        return [*(report.event for report in self.reports), *(update.event for update in self.updates)]

    def of(self, records: Collection[Identity]) -> "_Late":
        """Those of these records."""
        return _Late(
            [report for report in self.reports if report.event.identity in records],
            [update for update in self.updates if update.event.identity in records],
        )

    def before(self, deletion: Deletion) -> "_Late":
        """Those that the deletion judges."""
        return _Late(
            [report for report in self.reports if is_after(deletion, report.event)],
            [update for update in self.updates if is_after(deletion, update.event)],
        )


@dataclass(frozen=True, slots=True)
class _Record:
    """What is stored of a record that late events are of."""

    row: RequestLog | None
    patches: Sequence[Patch]
    entries: Sequence[KeyEntry]

    @property
    def places(self) -> list[Position]:
        """Where it stands on the bus."""
        return [patch.position for patch in self.patches] + ([self.row.position] if self.row else [])

    def is_in_force(self, update: Update) -> bool:
        """Whether what the update changes is stored already: as a dead letter it would hold nothing back."""
        return any(patch.position == update.patch.position and not patch.is_voided for patch in self.patches)

    def is_made_by(self, report: Accepted) -> bool:
        """Whether the report is the record, and no retry of it."""
        return not self.entries or self.entries[0].position == report.position

    def is_newer(self, deletion: Deletion) -> bool:
        """Whether it was there at the deletion, and was changed after it."""
        if self.row is None or acceptance(self.row.position) < acceptance(deletion.position):
            return False
        return not self.entries or acceptance(self.entries[0].position) < acceptance(deletion.position)


async def judge_late(
    reports: Sequence[Normalised], updates: Sequence[Update], lease: Lease, parts: Parts
) -> list[Rejected]:
    """Delete the records that deletions mean with these events. What is given back must not be folded."""
    late = _Late(
        [report for report in reports if report.event.delivery.replayed_at],
        [update for update in updates if update.event.delivery.replayed_at and not update.patch.deletes],
    )
    events = late.events
    if not events:
        return []
    projects, places = {event.envelope.project for event in events}, {event.position for event in events}
    later = _in_order(await retrying(lambda: parts.store.scope_deletions(projects, places), parts.retry))
    if not later:
        return []
    records = await _records(late, parts)
    by_filter = [deletion for deletion in later if deletion.scope is Scope.FILTER]
    by_user = [deletion for deletion in later if deletion.scope is Scope.USER]
    alive = late.of(records.keys() - await _judge_by_users(by_user, late, records, lease, parts))
    undecided = [update for update in alive.updates if _is_undecided(update, alive, records, by_filter)]
    left = {update.event.delivery.read_at for update in undecided}
    decided = _Late(alive.reports, [update for update in alive.updates if update.event.delivery.read_at not in left])
    for deletion in by_filter:
        await _judge_by_filter(deletion, decided.before(deletion), lease, parts)
    return [Rejected(update.event.delivery, RejectCode.CHANGED_AFTER_DELETION, _UNDECIDED) for update in undecided]


def is_after(deletion: Deletion, event: Accepted) -> bool:
    """Whether the event is among those that the deletion judges."""
    at, place = deletion.position, event.position
    if deletion.project != event.envelope.project or at.generation < place.generation:
        return False
    return at.generation > place.generation or (at.partition == place.partition and at.offset > place.offset)


def _in_order(deletions: Sequence[Deletion]) -> list[Deletion]:
    return sorted(deletions, key=lambda deletion: acceptance(deletion.position))


async def _records(late: _Late, parts: Parts) -> dict[Identity, _Record]:
    """What is stored of the records of these events, but for those that are deleted."""
    identities = {event.identity for event in late.events}
    keyed = {identity for identity in identities if is_keyed(identity[1])}
    entries = by_id(await retrying(lambda: parts.store.key_entries(keyed), parts.retry))
    patches = by_id(await retrying(lambda: parts.store.patches(identities), parts.retry))
    alive = [identity for identity in identities if not is_deleted(patches.get(identity, ()))]
    keys = [key for identity in alive if (key := _key_of(identity, entries.get(identity)))]
    found = await retrying(lambda: parts.store.rows(keys, with_bodies=False), parts.retry)
    rows = {(row.project, row.id): row for row in found}
    return {
        identity: _Record(rows.get(identity), patches.get(identity, ()), entries.get(identity, ()))
        for identity in alive
    }


def _key_of(identity: Identity, entries: Sequence[KeyEntry] | None) -> RowKey | None:
    """Where the record's row is, if it has one."""
    project, id_ = identity
    created_at = (entries[0].created_at if entries else None) if is_keyed(id_) else created_at_ms_of(id_)
    return None if created_at is None else RowKey(project, created_at, id_)


async def _judge_by_users(
    deletions: Sequence[Deletion], late: _Late, records: Mapping[Identity, _Record], lease: Lease, parts: Parts
) -> set[Identity]:
    """The records that were their users' at the deletions, which are deleted now. The store is asked for no others."""
    of_user = _by_user(late, records)
    gone: set[Identity] = set()
    for deletion in deletions:
        named = of_user.get((deletion.project, deletion.what), set()) - gone
        among = {identity for identity in named if _may_mean(deletion, records[identity])}
        judged = late.of(among).before(deletion)
        if not judged.events:
            continue
        then = Chunk(judged.reports, judged.updates, until=deletion.position)
        keys = await _whose(deletion.what, then, parts)
        if keys:
            meant = {(key.project, key.id) for key in keys}
            mine = late.of(meant)
            deletes = [patch_of(deletion, key) for key in keys]
            await store_chunk(Chunk(mine.reports, mine.updates, deletes), lease, parts)
            await _count(deletion, lease, parts)
            gone |= meant
    return gone


def _by_user(late: _Late, records: Mapping[Identity, _Record]) -> Mapping[tuple[str, str], set[Identity]]:
    """The records for which any event, stored or late, names the user, by project and user."""
    found: dict[tuple[str, str], set[Identity]] = defaultdict(set)

    def add(identity: Identity, user: str | None) -> None:
        if identity in records and user:
            found[identity[0], user].add(identity)

    for report in late.reports:
        add(report.event.identity, report.row.user_id)
    for update in late.updates:
        add(update.event.identity, user_in(merge([update.patch])))
    for identity, record in records.items():
        add(identity, record.row.user_id if record.row else None)
        for patch in record.patches:
            add(identity, user_in(merge([patch])))
    return found


def _may_mean(deletion: Deletion, record: _Record) -> bool:
    """Whether this copy of the deletion went to the record's partition, as far as its other events tell."""
    at = deletion.position
    return all(place.partition == at.partition for place in record.places if place.generation == at.generation)


async def _whose(user: str, then: Chunk, parts: Parts) -> list[RowKey]:
    """The keys of the chunk's records that were this user's then."""
    changes = await retrying(lambda: fold(then, parts.store, parts.price), parts.retry)
    owned = [folded.row.key for folded in changes.rows if folded.row.user_id == user]
    return owned + [key for key, owner in changes.users_then.items() if owner == user]


def _is_undecided(
    update: Update, late: _Late, records: Mapping[Identity, _Record], by_filter: Sequence[Deletion]
) -> bool:
    """Whether a filter may mean the record with this update, and the row as it was then is gone.

    A later deletion by the same filter, at which the row is as it is now, says what an operator wants.
    """
    record = records[update.event.identity]
    own = (report.event for report in late.reports if report.event.identity == update.event.identity)
    if record.is_in_force(update) or any(record.is_made_by(report) for report in own):
        return False
    mine = [deletion for deletion in by_filter if is_after(deletion, update.event) and _may_mean(deletion, record)]
    again = {deletion.what for deletion in mine if not record.is_newer(deletion)}
    return any(record.is_newer(deletion) and deletion.what not in again for deletion in mine)


async def _judge_by_filter(deletion: Deletion, late: _Late, lease: Lease, parts: Parts) -> None:
    """Delete those of these events' records that match as they were then."""
    if not late.events:
        return
    await store_chunk(Chunk(late.reports, late.updates, until=deletion.position), lease, parts)
    ids: set[RecordId] = {event.envelope.record_id for event in late.events}
    try:
        found = await delete_all(deletion, Portion(parts.step, among=ids), lease, parts)
    except QuestionRefused:
        log.exception(_REFUSED, extra={"deletion": deletion.event_id, "project": deletion.project})
        return
    if found:
        await _count(deletion, lease, parts)


async def _count(deletion: Deletion, lease: Lease, parts: Parts) -> None:
    """Note again how many records the deletion took, unless that is still to be noted when it is applied."""
    if deletion.applied:
        await note_as_applied(deletion, lease, parts)
