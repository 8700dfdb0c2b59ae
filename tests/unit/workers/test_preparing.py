"""A batch, sorted by what each delivery is, as much of it as fits in memory."""

import gzip
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.bus import Position
from ledger.errors import UnknownVersion
from ledger.prices.files import UnknownPriceVersion
from ledger.report import VERSION, Kind
from ledger.request_log import version_of
from tests.support.events import a_delivery, an_entry, unpriced
from workers.decoding import RejectCode
from workers.deriving import Price
from workers.preparing import MAX_DECODED_BYTES, prepare
from workers.pricing import Pricing, with_cost

KINDS: list[tuple[Kind, Any]] = [
    (Kind.LOG_UPDATE, {}),
    (Kind.LOG_INSERT, {}),
    (Kind.LOG_INSERT, {"cost": -1}),
    (Kind.PEZZO_REQUEST, {}),
    (Kind.LOG_INSERT, b"["),
    (Kind.LOG_UPDATE, {"update_data": {"description": "d"}}),
]


def with_the_price_of(pico_usd: int) -> Price:
    return lambda derived: with_cost(replace(derived.row, cost_computed=pico_usd))


def test_deliveries_are_sorted_by_what_they_are_each_in_its_order() -> None:
    prepared = prepare([a_delivery(body, at, kind=kind) for at, (kind, body) in enumerate(KINDS)], unpriced)
    assert [report.event.position.offset for report in prepared.reports] == [1, 3]
    assert [update.event.position.offset for update in prepared.updates] == [0, 5]
    assert [(item.delivery.position.offset, item.code) for item in prepared.rejected] == [
        (2, RejectCode.BODY_INVALID),
        (4, RejectCode.BODY_UNREADABLE),
    ]
    assert prepared.count == 6


def test_an_empty_batch_is_prepared_at_once() -> None:
    assert prepare([], unpriced).count == 0


def test_no_more_is_inflated_than_fits() -> None:
    size = 30 * 1024 * 1024
    packed = gzip.compress(b'{"a":"' + b" " * size + b'"}')
    batch = [a_delivery(packed, at, content_encoding="gzip") for at in range(10)]
    assert len(packed) * len(batch) < size
    prepared = prepare(batch, unpriced)
    assert (prepared.count - 1) * size < MAX_DECODED_BYTES <= prepared.count * size + prepared.count * 100
    assert len(prepared.reports) == prepared.count


def test_a_report_is_the_row_that_it_is_as_long_as_nothing_else_is_known_of_its_record() -> None:
    prepared = prepare([an_entry({"cost": 1}, 7)], with_the_price_of(5))
    (report,) = prepared.reports
    assert (report.row.position, report.row.version) == (Position(1, 0, 7), version_of(Position(1, 0, 7), 1))
    assert (report.row.cost, report.row.cost_computed) == (10**12, 5)


def test_a_report_with_prices_of_a_later_program_stops_the_whole_batch() -> None:
    with pytest.raises(UnknownPriceVersion):
        prepare([a_delivery(), a_delivery(price_version="9999-01-01")], Pricing().price)


def test_a_record_of_a_later_era_stops_the_whole_batch() -> None:
    with pytest.raises(UnknownVersion):
        prepare([a_delivery(), a_delivery(version=VERSION + 2)], unpriced)
