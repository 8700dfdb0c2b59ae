"""A pipeline over parts that remember, for tests of what one batch does."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.bus import Delivery
from ledger.ids import RecordId
from ledger.request_log import RequestLog
from tests.support.builders import A_TIME, an_id
from tests.support.events import an_entry
from tests.support.recording import RememberingBlobs, RememberingQuarantine, RememberingStore
from workers.decoding import RejectCode
from workers.deriving import Derived
from workers.pipeline import Deps, process
from workers.pricing import with_cost
from workers.quarantining import Ceiling
from workers.receipts import Receipt
from workers.retrying import RetryPolicy

AT_ONCE = RetryPolicy(base_delay=0.0)


def price(derived: Derived) -> RequestLog:
    return with_cost(derived.row)


@dataclass
class Worker:
    """A pipeline over parts that remember."""

    store: RememberingStore = field(default_factory=RememberingStore)
    blobs: RememberingBlobs = field(default_factory=RememberingBlobs)
    quarantine: RememberingQuarantine = field(default_factory=RememberingQuarantine)
    ceiling: Ceiling = field(default_factory=Ceiling)

    async def process(self, *batch: Delivery, still_ours: Callable[[], bool] = lambda: True) -> Receipt:
        deps = Deps(self.store, self.blobs, self.quarantine, price, self.ceiling, AT_ONCE)
        return await process(deps, batch, still_ours)

    @property
    def dead(self) -> dict[int, RejectCode]:
        return {position.offset: item.code for position, item in self.quarantine.dead.items()}

    @property
    def descriptions(self) -> dict[RecordId, str | None]:
        return {identity[1]: row.description for identity, row in self.store.visible().items()}


def poison(number: int, offset: int) -> Delivery:
    """A report that the store refuses."""
    return an_entry({"description": "poison"}, offset, record_id=an_id(A_TIME, number))


def fine(number: int, offset: int) -> Delivery:
    """A report that it does not."""
    return an_entry({"description": "fine"}, offset, record_id=an_id(A_TIME, number))


def is_poison(row: RequestLog) -> bool:
    return row.description == "poison"
