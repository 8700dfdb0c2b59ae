"""Schedule: the prices of one model over time, and in each way of asking for it.

Of the dated prices the last one in force applies, else the first. A way of asking (a tier, a speed) replaces the rates
that it names and leaves the rest; a way that the data do not name has no price, never the standard one.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from ledger.prices.rates import Rates
from ledger.prices.schema import DatedPrices, Model, Rate

Context = tuple[tuple[str, str], ...]
"""How a call was asked for, as sorted pairs such as ("service_tier", "flex"); empty for the standard way."""


class Schedule:
    """The prices of one model."""

    __slots__ = ("_contexts", "_days", "_model", "_resolved", "_times")

    def __init__(self, model: Model) -> None:
        dated = [*model.prices, *(variant.prices for variant in model.variants)]
        self._model = model
        self._contexts = {tuple(sorted(variant.when.items())) for variant in model.variants}
        self._days: Sequence[date] = sorted({prices.since for prices in dated if prices.since is not None})
        self._times: Sequence[time] = sorted({at for prices in dated for at in prices.daily or ()})
        self._resolved: dict[tuple[Context, int, int], Rates | None] = {}

    def rates(self, at: datetime, context: Context = ()) -> Rates | None:
        """The rates in force at this (aware) instant; None when this way of asking had no rate then."""
        if context and context not in self._contexts:
            return None
        day = time_of_day = 0
        if self._days or self._times:
            at = at.astimezone(UTC)
            day, time_of_day = bisect_right(self._days, at.date()), bisect_right(self._times, at.time())
        key = context, day, time_of_day  # between two boundaries nothing changes
        if key not in self._resolved:
            self._resolved[key] = self._resolve(at, context)
        return self._resolved[key]

    def _resolve(self, at: datetime, context: Context) -> Rates | None:
        in_force = [prices for prices in self._model.prices if _in_force(prices, at)]
        rates = dict((in_force or self._model.prices[:1])[-1].rates)
        if not context:
            return Rates(rates)
        asked = set(context)
        variants = [v for v in self._model.variants if asked.issuperset(v.when.items()) and _in_force(v.prices, at)]
        if not any(len(variant.when) == len(asked) for variant in variants):
            return None
        replaced: dict[str, Rate] = {}
        for variant in variants:
            replaced = variant.prices.rates | replaced  # the first that names a unit counts
        return Rates(rates | replaced)


def _in_force(prices: DatedPrices, at: datetime) -> bool:
    if prices.since is not None and at.date() < prices.since:
        return False
    if prices.daily is None:
        return True
    start, end = prices.daily
    if end < start:
        return at.time() >= start or at.time() < end
    return start <= at.time() < end
