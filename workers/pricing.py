"""Derived row → priced row, by the price version that acceptance stamped on the event."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from ledger.clock import from_milliseconds
from ledger.prices.book import PriceBook
from ledger.prices.costing import Priceable, Priced, cost_of
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
        priced = cost_of(call, self._book(row.price_version))
        computed = priced.pico_usd if isinstance(priced, Priced) else None
        cost, status = _effective(row.cost_provided, computed)
        return replace(
            row, cost_computed=computed, cost_reason=str(priced.reason) or None, cost=cost, cost_status=status
        )

    def _book(self, version: str) -> PriceBook:
        if version not in self._books:
            self._books[version] = self.load(version)
        return self._books[version]


def with_cost(row: RequestLog) -> RequestLog:
    """The row with its effective cost: what was provided, else what was computed, else none."""
    cost, status = _effective(row.cost_provided, row.cost_computed)
    return replace(row, cost=cost, cost_status=status)


def _effective(provided: int | None, computed: int | None) -> tuple[int | None, CostStatus]:
    if provided is not None:
        return provided, CostStatus.PROVIDED
    return computed, CostStatus.UNPRICED if computed is None else CostStatus.COMPUTED
