"""Costing: the price of one call. A pure function of the call and the price book; no clock, no network.

A wrong figure never looks like a right one: what is not known exactly is `Unpriced`, with the reason. Zero is a price
only for what is known to cost nothing.
"""

from datetime import datetime

import msgspec

from ledger.prices.book import PriceBook
from ledger.prices.reasons import CostReason
from ledger.prices.schedule import Context
from ledger.usage import Usage

__all__ = ["CostReason", "Priceable", "Priced", "Unpriced", "cost_of"]

_STANDARD = frozenset({"", "default", "standard", "auto", "on_demand", "standard_only"})
"""What providers call the tier (or speed) of a call that nobody asked anything special of."""

_ASKED_NOTHING = _STANDARD | {None}


class Priceable(msgspec.Struct, frozen=True, kw_only=True):
    """All that a price depends on. The tier and the speed are the reply's, else the request's."""

    provider: str | None
    model_served: str | None
    model_requested: str | None
    requested_at: datetime  # aware
    usage: Usage | None
    service_tier: str | None = None
    speed: str | None = None


class Priced(msgspec.Struct, frozen=True):
    """A known price. The reason is empty, or says why the price deserves a second look."""

    pico_usd: int  # 10**-12 USD; fits an Int64
    reason: str = ""


class Unpriced(msgspec.Struct, frozen=True):
    """There is no known price."""

    reason: CostReason


def cost_of(call: Priceable, book: PriceBook) -> Priced | Unpriced:
    """What this call cost by this book."""
    usage = call.usage
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return Unpriced(CostReason.NO_USAGE)
    names = call.model_served, call.model_requested
    rates = book.lookup(call.provider, names, call.requested_at, _context(call))
    if isinstance(rates, CostReason):
        return Unpriced(rates)
    cost = rates.cost(usage)
    if isinstance(cost, CostReason):
        return Unpriced(cost)
    return Priced(cost, CostReason.USAGE_READ_AS_EXCLUSIVE if usage.read_as_exclusive else "")


def _context(call: Priceable) -> Context:
    if call.service_tier in _ASKED_NOTHING and call.speed in _ASKED_NOTHING:
        return ()
    tier, speed = _named(call.service_tier), _named(call.speed)
    asked = []
    if tier:
        asked.append(("processing", tier) if tier == "batch" else ("service_tier", tier))
    if speed:
        asked.append(("speed", speed))
    return tuple(asked)


def _named(tier: str | None) -> str:
    """The tier in lower case; empty when it is the standard one."""
    name = (tier or "").strip().lower()
    return "" if name in _STANDARD else name
