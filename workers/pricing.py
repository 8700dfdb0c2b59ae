"""Derived row → priced row, by the price version that acceptance stamped on the event."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from ledger.clock import from_milliseconds
from ledger.prices.book import PriceBook
from ledger.prices.costing import Priceable, Priced, Unpriced, cost_of
from ledger.request_log import CostStatus, RequestLog
from workers.deriving import Derived


@dataclass(slots=True)
class Pricing:
    """Prices rows; keeps a book per version. A version from the future stops the worker: it waits for its program."""

    load: Callable[[str], PriceBook] = PriceBook.load
    _books: dict[str, PriceBook] = field(default_factory=dict)

    def price(self, derived: Derived) -> RequestLog:
        """The row with its cost, or with the reason why it has none."""
        row = derived.row
        call = Priceable(
            provider=row.provider,
            model_served=row.model_served,
            model_requested=row.model_requested,
            requested_at=from_milliseconds(row.requested_at),
            usage=derived.usage,
            service_tier=derived.service_tier,
            speed=derived.speed,
        )
        match cost_of(call, self._book(row.price_version)):
            case Priced(pico_usd=amount, reason=reason):
                return with_cost(replace(row, cost_computed=amount, cost_reason=str(reason) or None))
            case Unpriced(reason=reason):
                return with_cost(replace(row, cost_computed=None, cost_reason=str(reason)))

    def _book(self, version: str) -> PriceBook:
        if version not in self._books:
            self._books[version] = self.load(version)
        return self._books[version]


def with_cost(row: RequestLog) -> RequestLog:
    """The row with its effective cost: what was provided, else what was computed, else none."""
    if row.cost_provided is not None:
        return replace(row, cost=row.cost_provided, cost_status=CostStatus.PROVIDED)
    if row.cost_computed is not None:
        return replace(row, cost=row.cost_computed, cost_status=CostStatus.COMPUTED)
    return replace(row, cost=None, cost_status=CostStatus.UNPRICED)
