"""A fold → the store, in the one order that keeps every promise: deletions, keys, patches, blobs, bodies, rows.

A listed row always has its body, a row never lacks a patch that a later fold would find. A crash between any two is
harmless: the batch is read again and the same rows are written again. Rows that the store refuses for what they are
(and only those) are singled out and given back.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from ledger.blobs import BlobStore
from ledger.bus import Delivery, committable
from ledger.errors import LedgerError
from ledger.failpoints import failpoint
from ledger.patch import KeyEntry, Patch
from ledger.store import DataRefused, RequestLogStore
from workers.decoding import RejectCode, Rejected
from workers.folding import Fold, FoldedRow
from workers.retrying import RetryPolicy, retrying

log = logging.getLogger(__name__)


class NoLongerOurs(LedgerError):
    """The partitions of this batch went to another worker, which will write it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The batch that is written, and whether it is still this worker's to write."""

    batch: Sequence[Delivery]
    still_ours: Callable[[], bool]

    def check(self) -> None:
        """Called before each attempt to write: a worker that lost its partitions stops early."""
        if not self.still_ours():
            raise NoLongerOurs

    def token(self, rows: Sequence[FoldedRow], events: Iterable[KeyEntry | Patch] = ()) -> str:
        """Names the batch and what is written. A fold that came out differently has another token, never an old one."""
        digest = blake2b(digest_size=16)
        starts = committable(self.batch)
        digest.update(repr((sorted(starts.items()), len(self.batch))).encode())
        digest.update("".join([f"{row.project}/{row.id}/{row.version};" for row in (one.row for one in rows)]).encode())
        for event in events:
            digest.update(f"{event.project}/{event.id}@{event.position};".encode())
        return digest.hexdigest()


Step = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


def stepping(lease: Lease, policy: RetryPolicy) -> Step:
    """How each write is made: while the batch is ours, and again for as long as the store is not available."""

    async def step(action: Callable[[], Awaitable[None]]) -> None:
        async def attempt() -> None:
            lease.check()
            await action()

        await retrying(attempt, policy)

    return step


async def write(
    fold: Fold, lease: Lease, store: RequestLogStore, blobs: BlobStore, policy: RetryPolicy
) -> list[Rejected]:
    """Write everything; when this returns it is durable, but for the deliveries that are given back as refused."""
    step = stepping(lease, policy)
    failpoint("B1")
    if fold.deletions or fold.entries or fold.patches:
        await _write_events(fold, lease, store, step)
    for (project, sha256), blob in fold.blobs.items():
        await step(lambda p=project, h=sha256, b=blob: blobs.put(p, h, b.data))  # type: ignore[misc]
        failpoint("B2.blobs")
    return await _write_rows(fold.rows, lease, store, step)


async def _write_events(fold: Fold, lease: Lease, store: RequestLogStore, step: Step) -> None:
    token = lease.token(fold.rows, [*fold.entries, *fold.patches])
    if fold.deletions:
        await step(lambda: store.insert_deletions(fold.deletions, token))
        failpoint("B2.deletions")
    if fold.entries:
        await step(lambda: store.insert_key_entries(fold.entries, token))
        failpoint("B2.keys")
    if fold.patches:
        await step(lambda: store.insert_patches(fold.patches, token))
        failpoint("B2.patches")


async def _write_rows(rows: Sequence[FoldedRow], lease: Lease, store: RequestLogStore, step: Step) -> list[Rejected]:
    """Bodies, then rows; halves of what the store refused, until the refused rows stand alone."""
    if not rows:
        return []
    token = lease.token(rows)
    with_bodies = [folded.row for folded in rows if folded.row.bodies is not None]
    try:
        if with_bodies:
            await step(lambda: store.insert_bodies(with_bodies, token))
            failpoint("B2.bodies")
        await step(lambda: store.insert_rows([folded.row for folded in rows], token))
    except DataRefused as refusal:
        if len(rows) == 1:
            return await _refuse(rows[0], refusal, token, store, step)
        middle = len(rows) // 2
        first = await _write_rows(rows[:middle], lease, store, step)
        return first + await _write_rows(rows[middle:], lease, store, step)
    return []


async def _restore(folded: FoldedRow, token: str, store: RequestLogStore, step: Step) -> None:
    """Write the row without its refused updates, newer than the refused body that may stand in the store already.

    Before they are voided: a worker that dies in between comes here again. One that dies between the refused body and
    this leaves that body, as the one before it is no longer known.
    """
    if folded.undone is None:
        return
    row = folded.undone()
    token = f"{token}-restored"
    try:
        await step(lambda: store.insert_bodies([row], token))
        failpoint("B2.bodies")
        await step(lambda: store.insert_rows([row], token))
    except DataRefused as refusal:
        what = {"project": row.project, "record": row.id, "why": str(refusal)}
        log.error("A refused update may have left its texts beside its record; another update cures it.", extra=what)


async def _refuse(
    folded: FoldedRow, refusal: DataRefused, token: str, store: RequestLogStore, step: Step
) -> list[Rejected]:
    """Take the row's updates of this batch out of force, else every later update of its id would fail with them.

    A deletion stays in force. A tombstone that no delivery stands for cannot be given back: the worker stops.
    """
    if not folded.carries and not folded.patches:
        raise refusal
    updates = [patch for patch in folded.patches if not patch.deletes]
    if updates:
        await _restore(folded, token, store, step)
        voided = [replace(patch, voidings=patch.voidings + 1) for patch in updates]
        times = max(patch.voidings for patch in voided)
        await step(lambda: store.insert_patches(voided, f"{token}-voided-{times}"))
    why = type(refusal).__name__
    return [Rejected(event.delivery, RejectCode.ROW_REFUSED, str(refusal), why) for event in folded.carries]
