"""The part of the journey that is only computing: bytes → what they are → a priced row that lacks only its fold.

It may run in a thread. It takes as many deliveries as fit in memory once they are inflated, in their order: a batch of
small compressed bodies may be large inside.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from ledger.bus import Delivery
from workers.decoding import Accepted, Rejected, decode
from workers.deriving import Price
from workers.normalising import Normalised, ScopeDeletion, Update, normalise

MAX_DECODED_BYTES = 128 * 1024 * 1024
"""Of bodies together, after inflating: what one fold holds in memory, several times over."""


@dataclass(slots=True)
class Prepared:
    """The beginning of a batch, sorted by what each delivery turned out to be. A scope's deletion ends it."""

    count: int = 0  # of deliveries
    reports: list[Normalised] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    scope: ScopeDeletion | None = None  # judged on what the events before it have made


def prepare(batch: Sequence[Delivery], price: Price) -> Prepared:
    """As many deliveries from the start of the batch as fit; at least one.

    Raises only what makes the whole worker wait for a later program: `UnknownVersion` and `UnknownPriceVersion`.
    """
    prepared = Prepared()
    for outcome in _that_fit(batch):
        prepared.count += 1
        match outcome if isinstance(outcome, Rejected) else normalise(outcome, price):
            case Normalised() as report:
                prepared.reports.append(report)
            case Update() as update:
                prepared.updates.append(update)
            case ScopeDeletion() as scope:
                prepared.scope = scope
                return prepared
            case Rejected() as rejected:
                prepared.rejected.append(rejected)
            case _ as unexpected:
                assert_never(unexpected)
    return prepared


def _that_fit(batch: Sequence[Delivery]) -> Iterator[Accepted | Rejected]:
    size = 0
    for delivery in batch:
        outcome = decode(delivery)
        yield outcome
        size += len(outcome.body) if isinstance(outcome, Accepted) else 0
        if size >= MAX_DECODED_BYTES:
            return
