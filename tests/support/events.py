"""Accepted events as they stand on the bus: envelopes and deliveries with defaults. Say only what the test is about."""

from dataclasses import replace
from typing import Any

import msgspec

from ledger.bus import Delivery, Position
from ledger.ids import EventId, ProjectId, RecordId
from ledger.prices.book import current_version
from ledger.report import Envelope, Kind, bus_key, encode
from ledger.request_log import RequestLog
from tests.support.builders import A_TIME, an_id
from workers.decoding import Accepted, decode
from workers.deriving import Derived, Price
from workers.normalising import Normalised, Update, normalise

SHOP = ProjectId("shop")
AN_ID = an_id(A_TIME, 1)

ENVELOPE = Envelope(
    version=1,
    record_id=AN_ID,
    event_id=EventId(AN_ID),
    kind=Kind.OPENPIPE_REPORT,
    project=SHOP,
    accepted_at=A_TIME + 5,
    created_at=A_TIME,
    price_version=current_version(),
)


def an_envelope(**changes: Any) -> Envelope:
    """A valid envelope; a changed `record_id` is the event's id too, as it is for every report."""
    if "record_id" in changes and "event_id" not in changes:
        changes["event_id"] = EventId(changes["record_id"])
    return msgspec.structs.replace(ENVELOPE, **changes)


def a_delivery(body: Any = b"{}", offset: int = 1, **changes: Any) -> Delivery:
    """A record as it is read: `body` is bytes or what they are the JSON of, the rest changes the envelope."""
    envelope = an_envelope(**changes)
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    key = bus_key(envelope.project, envelope.record_id)
    return Delivery(Position(1, 0, offset), key, encode(envelope), raw)


def an_accepted(body: Any = b"{}", offset: int = 1, **changes: Any) -> Accepted:
    """The same, decoded."""
    outcome = decode(a_delivery(body, offset, **changes))
    assert isinstance(outcome, Accepted), outcome
    return outcome


def unpriced(derived: Derived) -> RequestLog:
    """The row without a cost, for tests that are about everything else."""
    return derived.row


def a_report(body: Any = b"{}", offset: int = 1, *, price: Price = unpriced, **changes: Any) -> Normalised:
    """The same, normalised."""
    outcome = normalise(an_accepted(body, offset, **changes), price)
    assert isinstance(outcome, Normalised), outcome
    return outcome


def the_row(body: Any = b"{}", kind: Kind = Kind.OPENPIPE_REPORT, **changes: Any) -> RequestLog:
    """What such a report is stored as, but for its cost."""
    return a_report(body, kind=kind, **changes).row


def an_entry(body: Any = None, offset: int = 1, **changes: Any) -> Delivery:
    """A log entry as it is read."""
    return a_delivery({"model": "gpt-4o", **(body or {})}, offset, kind=Kind.LOG_INSERT, **changes)


def an_update_of(record_id: RecordId, fields: Any, offset: int = 2, **changes: Any) -> Delivery:
    """An update of a log entry as it is read, with an event id of its own."""
    changes = {"event_id": EventId(an_id(A_TIME, 1000 + offset)), "kind": Kind.LOG_UPDATE, **changes}
    return a_delivery({"id": record_id, "update_data": fields}, offset, record_id=record_id, **changes)


def an_update(fields: Any, offset: int = 2, **changes: Any) -> Update:
    """The same, normalised."""
    accepted = decode(an_update_of(AN_ID, fields, offset, **changes))
    assert isinstance(accepted, Accepted), accepted
    outcome = normalise(accepted, unpriced)
    assert isinstance(outcome, Update), outcome
    return outcome


def moved(delivery: Delivery, offset: int) -> Delivery:
    """The same record at another offset."""
    return replace(delivery, position=replace(delivery.position, offset=offset))
