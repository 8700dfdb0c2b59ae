"""One batch from top to bottom. Start reading here.

bytes → Accepted | Rejected → RequestLog → priced → folded with all earlier events of its id → written → Receipt.
Only the receipt's offsets are committed, by the driver that called: progress is proof of the write.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.blobs import BlobStore
from ledger.bus import Delivery, committable
from ledger.store import RequestLogStore
from workers.decoding import decode, split
from workers.folding import Fold, Price, fold
from workers.normalising import normalise, sorted_by_kind
from workers.quarantining import Ceiling, Quarantine
from workers.receipts import Receipt
from workers.retrying import RetryPolicy, retrying
from workers.writing import Lease, write


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
    accepted, unreadable = split(map(decode, batch))
    reports, updates, invalid = sorted_by_kind(map(normalise, accepted))
    deps.ceiling.check(accepted, [*unreadable, *invalid])

    async def folded() -> Fold:
        return await fold(reports, updates, deps.store, deps.price)

    changes = await retrying(folded, deps.retry)
    refused = await write(changes, Lease(batch, still_ours), deps.store, deps.blobs, deps.retry)
    dead = [*unreadable, *invalid, *changes.rejected, *refused]
    if dead:
        await retrying(lambda: deps.quarantine.put(dead), deps.retry)
    return Receipt(stored=len(changes.rows) - len(refused), quarantined=len(dead), resume_at=committable(batch))
