"""One batch from top to bottom. Start reading here.

bytes → Accepted | Rejected → RequestLog, not yet priced (`prepare`: decode, normalise) → priced and folded with all
earlier events of its id (`fold`) → written (`write`) → Receipt. What cannot become a row goes to the dead letters.
Only the receipt's offsets are committed, by the driver that called: progress is proof of the write.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.blobs import BlobStore
from ledger.bus import Delivery, committable
from ledger.store import RequestLogStore
from workers.folding import Fold, Price, fold
from workers.preparing import Prepared, prepare
from workers.quarantining import Ceiling, Quarantine
from workers.receipts import Receipt
from workers.retrying import RetryPolicy, retrying
from workers.writing import Lease, write

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deps:
    """What the pipeline works with."""

    store: RequestLogStore
    blobs: BlobStore
    quarantine: Quarantine
    price: Price
    ceiling: Ceiling = field(default_factory=Ceiling)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


async def process(deps: Deps, batch: Sequence[Delivery], still_ours: Callable[[], bool] = lambda: True) -> Receipt:
    """Store one batch. When this returns, every delivery is part of a row or is a dead letter.

    The batch before it must have returned: a fold reads what the one before has written. Raises `NoLongerOurs` when
    the partitions went to another worker; every other error means that nothing may be committed.
    """
    stored = quarantined = 0
    rest = batch
    while rest:
        prepared = await asyncio.to_thread(prepare, rest)  # a hostile body keeps a core busy, not the event loop
        part, rest = rest[: prepared.count], rest[prepared.count :]
        receipt = await _store(deps, part, prepared, still_ours)
        stored, quarantined = stored + receipt.stored, quarantined + receipt.quarantined
    return Receipt(stored, quarantined, committable(batch))


async def _store(deps: Deps, part: Sequence[Delivery], prepared: Prepared, still_ours: Callable[[], bool]) -> Receipt:
    async def folded() -> Fold:
        return await fold(prepared.reports, prepared.updates, deps.store, deps.price)

    changes = await retrying(folded, deps.retry)
    dead = [*prepared.rejected, *changes.rejected]
    deps.ceiling.check(len(part) - len(dead), dead)
    refused = await write(changes, Lease(part, still_ours), deps.store, deps.blobs, deps.retry)
    deps.ceiling.check(0, refused)
    dead += refused
    if dead:
        log.warning("Dead letters.", extra={"action": "dead_letters", **Counter(item.code.value for item in dead)})
        await retrying(lambda: deps.quarantine.put(dead), deps.retry)
    return Receipt(stored=len(changes.rows) - len(refused), quarantined=len(dead), resume_at=committable(part))
