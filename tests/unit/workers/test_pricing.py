"""What a row costs, by the prices of its own version."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from ledger.prices.book import PriceBook, current_version
from ledger.request_log import CostStatus, RequestLog
from ledger.usage import Usage
from tests.support.builders import a_request_log
from workers.deriving import Derived
from workers.pricing import Pricing, with_cost


def derived(row: RequestLog, usage: Usage | None) -> Derived:
    return Derived(row, usage, service_tier=None, speed=None)


UNPRICED = {"cost": None, "cost_computed": None, "cost_provided": None}


def a_row(**changes: object) -> RequestLog:
    return a_request_log(**{"price_version": current_version(), **UNPRICED, **changes})


def test_a_known_model_is_priced_from_its_usage() -> None:
    row = Pricing().price(derived(a_row(), Usage(input_tokens=1_000_000, output_tokens=1_000_000)))
    assert row.cost == row.cost_computed == Decimal("12.5") * 10**12
    assert (row.cost_status, row.cost_reason) == (CostStatus.COMPUTED, None)


def test_what_cannot_be_priced_has_no_cost_but_a_reason() -> None:
    for row, usage in [(a_row(), None), (a_row(model_served=None, model_requested="x"), Usage(input_tokens=1))]:
        priced = Pricing().price(derived(row, usage))
        assert (priced.cost, priced.cost_computed, priced.cost_status) == (None, None, CostStatus.UNPRICED)
        assert priced.cost_reason


def test_a_given_cost_counts_and_the_computed_one_is_kept_beside_it() -> None:
    row = Pricing().price(derived(a_row(cost_provided=7), Usage(input_tokens=1_000_000, output_tokens=0)))
    assert (row.cost, row.cost_provided, row.cost_status) == (7, 7, CostStatus.PROVIDED)
    assert row.cost_computed == Decimal("2.5") * 10**12


def test_a_given_cost_counts_also_where_there_is_no_price() -> None:
    row = Pricing().price(derived(a_row(cost_provided=0), None))
    assert (row.cost, row.cost_computed, row.cost_status) == (0, None, CostStatus.PROVIDED)
    assert row.cost_reason


def test_a_free_call_costs_zero_and_an_unknown_one_nothing() -> None:
    assert with_cost(a_row(cost_computed=0)).cost == 0
    assert with_cost(a_row(cost_computed=0)).cost_status is CostStatus.COMPUTED
    assert with_cost(replace(a_row(), cost=5)).cost is None


def test_each_version_is_loaded_once_and_priced_by_its_own_book() -> None:
    loaded: list[str] = []

    def load(version: str) -> PriceBook:
        loaded.append(version)
        return PriceBook.load()

    pricing = Pricing(load)
    for version in ("a", "b", "a", "b"):
        assert pricing.price(derived(a_row(price_version=version), None)).price_version == version
    assert loaded == ["a", "b"]


def test_a_version_of_the_future_stops_everything() -> None:
    with pytest.raises(Exception, match="9999-01-01"):
        Pricing().price(derived(a_row(price_version="9999-01-01"), None))
