"""What every row has from its envelope, whatever its dialect; and what is no report."""

import json
from typing import Any

import pytest

from ledger.report import Kind
from tests.support.dialect_rows import ACCEPTED_AT, anthropic, entry, openpipe, pezzo
from tests.support.events import a_delivery, an_accepted, an_envelope, an_update, unpriced
from workers.decoding import RejectCode, Rejected
from workers.normalising import Update, normalise


@pytest.mark.parametrize("make", [openpipe, anthropic, pezzo, entry])
def test_a_row_is_where_and_when_its_envelope_says(make: Any) -> None:
    row, envelope = make(), an_envelope()
    assert (row.project, row.id, row.created_at) == (envelope.project, envelope.record_id, envelope.created_at)
    assert row.ingested_at == row.updated_at == envelope.accepted_at
    assert row.position == a_delivery().position
    assert row.price_version == envelope.price_version


def test_the_source_tells_the_api() -> None:
    sources = [make().source for make in (openpipe, anthropic, pezzo, entry)]
    assert sources == ["openpipe", "openpipe_anthropic", "pezzo", "log_entry"]


INVALID: list[tuple[Kind, dict[str, Any]]] = [
    (Kind.OPENPIPE_REPORT, {"requestedAt": "noon"}),
    (Kind.OPENPIPE_REPORT, {"statusCode": []}),
    (Kind.OPENPIPE_REPORT_ANTHROPIC, {"receivedAt": {}}),
    (Kind.PEZZO_REQUEST, {"request": 5}),
    (Kind.PEZZO_REQUEST, {"response": {"status": "many"}}),
    (Kind.LOG_INSERT, {"duration": "1"}),
    (Kind.LOG_INSERT, {"duration": -1}),
    (Kind.LOG_INSERT, {"cost": True}),
    (Kind.LOG_INSERT, {"media": []}),
    (Kind.LOG_UPDATE, {"update_data": []}),
    (Kind.LOG_UPDATE, {"update_data": {"cost": -1}}),
    (Kind.LOG_UPDATE, {"update_data": {"media": {"request": [1]}}}),
    (Kind.LOG_UPDATE, {"update_data": {"media": 5}}),
]


@pytest.mark.parametrize(("kind", "body"), INVALID)
def test_what_the_api_refuses_is_rejected_without_its_values(kind: Kind, body: dict[str, Any]) -> None:
    outcome = normalise(an_accepted(body, kind=kind), unpriced)
    assert isinstance(outcome, Rejected)
    assert outcome.code is RejectCode.BODY_INVALID
    assert outcome.detail.isidentifier(), "the name of the error, nothing that was sent"


def test_an_update_is_a_patch_with_the_text_of_its_fields() -> None:
    patch = an_update({"description": "d", "unknown": 1}, offset=5).patch
    accepted = an_accepted(kind=Kind.LOG_UPDATE)
    assert (patch.project, patch.id) == accepted.identity
    assert patch.position.offset == 5
    assert json.loads(patch.body) == {"description": "d", "unknown": 1}
    assert (patch.accepted_at, patch.price_version) == (ACCEPTED_AT, an_envelope().price_version)
    assert not patch.is_voided


@pytest.mark.parametrize("body", [{}, {"update_data": None}, {"update_data": {}}])
def test_an_update_without_fields_is_an_empty_patch(body: dict[str, Any]) -> None:
    outcome = normalise(an_accepted(body, kind=Kind.LOG_UPDATE), unpriced)
    assert isinstance(outcome, Update)
    assert outcome.patch.body == "{}"


@pytest.mark.parametrize("make", [openpipe, anthropic, pezzo, entry])
def test_processing_twice_gives_the_same_row(make: Any) -> None:
    assert make() == make()
