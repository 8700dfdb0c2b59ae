"""One batch from top to bottom. Start reading here.

bytes → Accepted | Rejected → RequestLog (`prepare`: decode, normalise, price) → folded with all earlier events of its
id (`fold`) → written (`write`) → settled → Receipt. What cannot become a row goes to the dead letters. A deletion by
user or filter ends what is folded together: it is judged once all before it is written. Only the receipt's offsets are
committed, by the driver that called: progress is proof of the write.

A batch is as many chunks as a worker that is behind has at hand. While one is folded and written, the next one is
prepared in a thread, and never folded: a fold reads what the one before has written.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from ledger.blobs import BlobStore, Claims
from ledger.bus import Delivery, committable, settled_by
from ledger.failpoints import failpoint
from ledger.settings import BatchSection
from ledger.store import RequestLogStore
from workers.claims import with_claims
from workers.decoding import Rejected
from workers.deleting import STEP, Parts, delete_scope
from workers.deriving import Price
from workers.folding import Chunk, Fold, FoldedRow, fold
from workers.judging import judge_late
from workers.normalising import Normalised, Update
from workers.preparing import Prepared, prepare
from workers.quarantining import Ceiling, Quarantine
from workers.receipts import Receipt
from workers.retrying import RetryPolicy, retrying
from workers.writing import Lease, write

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Part:
    """Deliveries from the start of what was left, what they turned out to be, and what is left now."""

    deliveries: Sequence[Delivery]
    prepared: Prepared
    rest: Sequence[Delivery]


@dataclass(slots=True)
class Deps:
    """What the pipeline works with."""

    store: RequestLogStore
    blobs: BlobStore
    quarantine: Quarantine
    price: Price
    ceiling: Ceiling = field(default_factory=Ceiling)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_prepared: Callable[[], None] = lambda: None  # told when all records of a batch have been read without harm
    only_first: Callable[[], bool] = lambda: False  # whether no more than the first chunk of a batch is wanted
    rows_at_once: int = BatchSection().max_rows  # deliveries of one chunk
    deleted_at_once: int = STEP  # records of a deletion that are folded together
    claims: Claims | None = None  # None: the bus takes records of any size
    thread: Executor = field(default_factory=partial(ThreadPoolExecutor, 1, "preparing"))
    """Always the same one prepares: memory that another thread has freed is hardly ever used again (80 MB of 500)."""


async def process(deps: Deps, batch: Sequence[Delivery], still_ours: Callable[[], bool] = lambda: True) -> Receipt:
    """Store one batch. When this returns, every delivery is part of a row or is a dead letter.

    Where `only_first` says so this is true of its beginning only, and the receipt names the place after that.
    The batch before it must have returned: a fold reads what the one before has written. Raises `NoLongerOurs` when
    the partitions went to another worker; every other error means that nothing may be committed.
    """
    stored = quarantined = done = 0
    async with aclosing(_chunks(deps, batch)) as chunks:
        async for part in chunks:
            receipt = await _store(deps, part.deliveries, part.prepared, still_ours)
            stored, quarantined = stored + receipt.stored, quarantined + receipt.quarantined
            done += part.prepared.count
    batch = batch[:done]
    if batch:
        await retrying(lambda: deps.store.insert_progress(settled_by(batch)), deps.retry)
    failpoint("B3")
    return Receipt(stored, quarantined, committable(batch))


async def _chunks(deps: Deps, batch: Sequence[Delivery]) -> AsyncGenerator[_Part, None]:
    """The batch in chunks, each prepared while the one before it is stored. So two of them are held at most."""
    rest = batch
    coming = asyncio.ensure_future(_prepared(deps, rest))
    try:
        while rest:
            part = await coming
            rest = () if deps.only_first() else part.rest
            if rest:
                coming = asyncio.ensure_future(_prepared(deps, rest))
            else:
                deps.on_prepared()
            yield part
    finally:  # what is prepared and not stored is dropped with its errors: it has touched nothing and is read again
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _prepared(deps: Deps, rest: Sequence[Delivery]) -> _Part:
    part = await with_claims(rest[: deps.rows_at_once], deps.claims, deps.retry)
    preparing = asyncio.get_running_loop().run_in_executor(deps.thread, prepare, part, deps.price)
    prepared = await preparing  # a hostile body keeps a core busy, not the event loop
    rest = [*part[prepared.count :], *rest[len(part) :]]  # whose claims are not fetched once more
    return _Part(part[: prepared.count], prepared, rest)


async def _store(deps: Deps, part: Sequence[Delivery], prepared: Prepared, still_ours: Callable[[], bool]) -> Receipt:
    lease = Lease(part, still_ours)
    parts = Parts(deps.store, deps.blobs, deps.price, deps.retry, deps.deleted_at_once)
    undecided = await judge_late(prepared.reports, prepared.updates, lease, parts)
    changes = await _folded(deps, prepared.reports, _without(undecided, prepared.updates))
    dead = [*prepared.rejected, *undecided, *changes.rejected]
    deps.ceiling.check(part, dead)
    refused = await _written(deps, prepared.reports, changes, lease)
    if prepared.scope:
        refused += await delete_scope(prepared.scope, lease, parts)
    if refused:
        dead += refused
        deps.ceiling.check_again(part, dead)
    if dead:
        log.warning("Dead letters.", extra={"action": "dead_letters", **Counter(item.code.value for item in dead)})
        await retrying(lambda: deps.quarantine.put(dead), deps.retry)
        failpoint("B5")
    return Receipt(_stored(changes.rows, refused), quarantined=len(dead), resume_at=committable(part))


def _stored(rows: Sequence[FoldedRow], refused: Sequence[Rejected]) -> int:
    """How many of these rows are listed with something of this chunk in them."""
    lost = {item.delivery.position for item in refused}
    if not lost:
        return sum(bool(row.carries) for row in rows)
    return sum(not lost.issuperset(event.position for event in row.carries) for row in rows)


async def _written(deps: Deps, reports: Sequence[Normalised], changes: Fold, lease: Lease) -> list[Rejected]:
    """What the store refused of these changes. A refused update does not take its record with it."""
    refused = await write(changes, lease, deps.store, deps.blobs, deps.retry)
    alone = _refused_with_their_updates(reports, changes, refused)
    if not alone:
        return refused
    again = await _folded(deps, alone, [])
    tried = {report.event.position for report in alone}
    kept = [item for item in refused if item.delivery.position not in tried]
    return kept + await write(again, lease, deps.store, deps.blobs, deps.retry)


async def _folded(deps: Deps, reports: Sequence[Normalised], updates: Sequence[Update]) -> Fold:
    return await retrying(lambda: fold(Chunk(reports, updates), deps.store, deps.price), deps.retry)


def _without(rejected: Sequence[Rejected], updates: Sequence[Update]) -> list[Update]:
    read_at = {item.delivery.read_at for item in rejected}
    return [update for update in updates if update.event.delivery.read_at not in read_at]


def _refused_with_their_updates(
    reports: Sequence[Normalised], changes: Fold, refused: Sequence[Rejected]
) -> list[Normalised]:
    """Reports whose rows were refused as updates of the same batch had made them; those are out of force by now."""
    lost = {item.delivery.position for item in refused}
    lost &= {event.position for row in changes.rows if row.patches for event in row.carries}
    return [report for report in reports if report.event.position in lost] if lost else []
