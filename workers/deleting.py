"""A deletion by user or by filter, applied: which records it means, in steps, each of them folded and written.

It means what was accepted before it in its partition and matches when that is folded. What it has deleted no longer
matches, so a crash costs nothing but the steps to come: they are taken when the batch is read again.

One whose question the store refuses becomes a dead letter. What is noted of it stays, as begun and never as applied: a
trace that says no more than that it was asked for. Replayed, it is another one, at the place where it is read then.
"""

import logging
from dataclasses import dataclass, replace

from ledger.blobs import BlobStore
from ledger.deletion import Deletion, Portion, event_of
from ledger.errors import LedgerError
from ledger.failpoints import failpoint
from ledger.patch import EMPTY, Patch
from ledger.report import Kind
from ledger.request_log import RowKey
from ledger.store import DataRefused, RequestLogStore, StoreOverstrained
from workers.decoding import RejectCode, Rejected
from workers.deriving import Price
from workers.folding import Chunk, fold
from workers.normalising import ScopeDeletion
from workers.retrying import RetryPolicy, retrying
from workers.writing import Lease, stepping, write

STEP = 2000
"""Records that one step deletes: what it holds in memory."""

TOLD_AFTER = 5
"""So many times in a row the store may have too little memory or time for a step before an operator is asked for."""

_TOO_MUCH = (
    "A deletion does not get through, and what was accepted after it in its partition waits: the store has too little"
    " memory or time to find its records. Raise max_memory_usage or max_execution_time of the store's user, or give the"
    " store more memory; it is tried again until then."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What deleting works with."""

    store: RequestLogStore
    blobs: BlobStore
    price: Price
    retry: RetryPolicy
    step: int = STEP


class QuestionRefused(LedgerError):
    """The store does not take the deletion's filter."""


async def delete_scope(scope: ScopeDeletion, lease: Lease, parts: Parts) -> list[Rejected]:
    """Delete what the scope means here. It is given back, noted as begun, when the store refuses the question."""
    deletion = scope.deletion
    await _note(deletion, lease, parts)
    try:
        await delete_all(deletion, Portion(parts.step, partitions=deletion.partitions), lease, parts)
    except QuestionRefused as refusal:
        return [Rejected(scope.event.delivery, RejectCode.BODY_INVALID, str(refusal), type(refusal).__name__)]
    await note_as_applied(deletion, lease, parts)
    return []


async def delete_all(deletion: Deletion, portion: Portion, lease: Lease, parts: Parts) -> int:
    """How many records were deleted. Raises `QuestionRefused`."""
    deleted = 0
    while keys := await _matching(deletion, portion, parts):
        await store_chunk(Chunk(deletes=[patch_of(deletion, key) for key in keys]), lease, parts)
        deleted += len(keys)
        portion = replace(portion, after=keys[-1])
    return deleted


async def _matching(deletion: Deletion, portion: Portion, parts: Parts) -> list[RowKey]:
    """What to delete next. A store that has too little memory or time for it is asked for less, and says so."""
    failures = 0

    async def asked() -> list[RowKey]:
        nonlocal failures
        smaller = replace(portion, limit=max(1, portion.limit >> failures), sparing=failures > 0)
        try:
            return await parts.store.matching(deletion, smaller)
        except StoreOverstrained:
            failures += 1
            if failures >= TOLD_AFTER:
                log.error(_TOO_MUCH, extra={"deletion": deletion.event_id, "scope": deletion.scope, "tries": failures})
            raise

    try:
        return await retrying(asked, parts.retry)
    except DataRefused as refusal:
        raise QuestionRefused from refusal


async def store_chunk(chunk: Chunk, lease: Lease, parts: Parts) -> None:
    """Fold and write it. What the store refuses of it is refused again, and given back, when its batch is folded."""
    changes = await retrying(lambda: fold(chunk, parts.store, parts.price), parts.retry)
    await write(changes, lease, parts.store, parts.blobs, parts.retry)


def patch_of(deletion: Deletion, key: RowKey) -> Patch:
    """The scope's deletion as an event of one of its records."""
    return Patch(
        project=key.project,
        id=key.id,
        position=deletion.position,
        event_id=event_of(deletion.event_id, key.id),
        kind=Kind.SCOPE_DELETE,
        accepted_at=deletion.accepted_at,
        price_version="",
        body_hash="",
        body=EMPTY,
    )


async def _note(deletion: Deletion, lease: Lease, parts: Parts) -> None:
    token = f"{deletion.event_id}@{deletion.position.text}-{deletion.applied}-{deletion.found}"
    await stepping(lease, parts.retry)(lambda: parts.store.insert_deletions([deletion], token))
    failpoint("B2.deletions")


async def note_as_applied(deletion: Deletion, lease: Lease, parts: Parts) -> None:
    """Note that everything before the deletion is judged, and how many records that took."""
    found = await retrying(lambda: parts.store.deleted_by(deletion), parts.retry)
    await _note(replace(deletion, found=found, applied=True), lease, parts)
