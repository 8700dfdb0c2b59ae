"""Bodies that were too large for the bus: fetched from the blob store before their records are decoded.

A blob store that is away is waited for, without end. A claim that is gone leaves its delivery without a body, which
makes it a dead letter: it can be replayed once the blob is there again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.blobs import Claims
from ledger.bus import Delivery
from ledger.bus.claims import is_name_of
from ledger.errors import Invalid
from ledger.report import Claim, decode
from workers.retrying import RetryPolicy, retrying

MAX_FETCHED_BYTES = 64 * 1024 * 1024
"""Of claims together, as they were sent: what one part of a batch holds beside what is read from the bus."""

FETCHED_AT_ONCE = 4
"""One after the other would keep the batch waiting for each answer of a distant bucket."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Named:
    at: int  # in the batch
    claim: Claim


async def with_claims(batch: Sequence[Delivery], claims: Claims | None, retry: RetryPolicy) -> Sequence[Delivery]:
    """The beginning of the batch, with the bodies of its claims; all of it, unless they are too large together.

    At least one delivery of a batch that has any. What has its body already keeps it. Waits for as long as the blob
    store is away. Without a place for claims, as where the bus takes records of any size, nothing is fetched.
    """
    if claims is None:
        return batch
    empty = [at for at, delivery in enumerate(batch) if not delivery.body]  # as is every record that names a claim
    named = [_Named(at, claim) for at in empty if (claim := _claim_of(batch[at])) is not None]
    if not named:
        return batch
    end, fitting = _that_fit(named, len(batch))
    missing = [item for item in fitting if batch[item.at].claimed is None]
    places = asyncio.Semaphore(FETCHED_AT_ONCE)
    bodies = await asyncio.gather(*(_fetched(item.claim, claims, retry, places) for item in missing))
    part = list(batch[:end])
    for item, body in zip(missing, bodies, strict=True):
        part[item.at] = replace(part[item.at], claimed=body)
    return part


def _claim_of(delivery: Delivery) -> Claim | None:
    """The claim that the delivery names, if it is one of its own project. Any bytes may stand here."""
    try:
        envelope = decode(delivery.envelope or b"")
    except Invalid:
        return None  # decoding says what is wrong with it, when its turn comes
    claim = envelope.blob
    return claim if isinstance(claim, Claim) and is_name_of(claim.name, envelope.project) else None


def _that_fit(named: Sequence[_Named], count: int) -> tuple[int, Sequence[_Named]]:
    """How much of a batch of so many deliveries fits, and what is to be fetched for it."""
    size = 0
    for index, item in enumerate(named):
        size += item.claim.size
        if size > MAX_FETCHED_BYTES and index:
            return item.at, named[:index]
    return count, named


async def _fetched(claim: Claim, claims: Claims, retry: RetryPolicy, places: asyncio.Semaphore) -> bytes | None:
    async with places:
        body = await retrying(lambda: claims.claim(claim.name), retry)
    if body is None:
        log.warning("A claim is gone.", extra={"action": "claim_missing", "claim": claim.name})
    return body
