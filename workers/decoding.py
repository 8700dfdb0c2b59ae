"""Bytes → Accepted | Rejected. Any bytes at all give one of the two, never an exception.

The one thing that does raise is a record of a later era (`UnknownVersion`): it is no bad record, it waits for the
program that can read it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

import msgspec

from ledger.bus import Delivery, Position
from ledger.dialects import cut
from ledger.errors import Invalid, UnknownVersion
from ledger.inflating import inflate
from ledger.instants import EARLIEST_STORED_MS, LATEST_STORED_MS
from ledger.json_text import check_json_text, readable
from ledger.report import Envelope
from ledger.report import decode as decode_envelope
from ledger.settings import MAX_BODY_BYTES
from ledger.store import Identity


class RejectCode(StrEnum):
    """Why a delivery is dead: a closed set, because it becomes a metric label."""

    ENVELOPE_UNREADABLE = "envelope_unreadable"
    CLAIM_MISSING = "claim_missing"
    BODY_UNREADABLE = "body_unreadable"
    BODY_INVALID = "body_invalid"
    KEY_REUSED = "idempotency_key_reused"
    TOO_MANY_EVENTS = "too_many_events"
    ROW_REFUSED = "row_refused"
    KILLED_THE_WORKER = "killed_the_worker"
    CHANGED_AFTER_DELETION = "changed_after_deletion"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A delivery that cannot become a row."""

    delivery: Delivery  # the original bytes, so nothing is lost in the dead letters
    code: RejectCode
    detail: str  # never a value that the sender sent
    error_class: str = ""  # the exception behind it, where there was one


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A delivery whose envelope is valid and whose body is a JSON object."""

    delivery: Delivery
    envelope: Envelope
    body: bytes  # inflated, and readable
    fields: dict[str, msgspec.Raw]  # the body's values, as slices of it

    @property
    def identity(self) -> Identity:
        """Whose record this is about."""
        return self.envelope.project, self.envelope.record_id

    @property
    def position(self) -> Position:
        """Where it stands in the order of acceptance."""
        return self.delivery.position

    def body_hash(self) -> str:
        """What tells a retry from another use of its idempotency key."""
        return blake2b(self.body, digest_size=16).hexdigest()


def decode(delivery: Delivery) -> Accepted | Rejected:
    """What the delivery is. Raises `UnknownVersion` only."""
    try:
        envelope = decode_envelope(delivery.envelope or b"")
    except UnknownVersion:
        raise
    except Invalid as error:
        return Rejected(delivery, RejectCode.ENVELOPE_UNREADABLE, str(error), type(error).__name__)
    fault = _fault_of(envelope)
    if fault:
        return Rejected(delivery, RejectCode.ENVELOPE_UNREADABLE, fault)
    sent = delivery.body if envelope.blob is None else delivery.claimed
    if sent is None:
        return _without_body(delivery, envelope)
    try:
        body = readable(inflate(sent, envelope.content_encoding, MAX_BODY_BYTES)) or b"{}"
        check_json_text(body)
        return Accepted(delivery, envelope, body, cut(body))
    except Invalid as error:
        return Rejected(delivery, RejectCode.BODY_UNREADABLE, type(error).__name__, type(error).__name__)


def _without_body(delivery: Delivery, envelope: Envelope) -> Rejected:
    if envelope.blob is None:
        return Rejected(delivery, RejectCode.ENVELOPE_UNREADABLE, "The record has no body.")
    detail = "The body was kept outside of the record and is no longer there."
    return Rejected(delivery, RejectCode.CLAIM_MISSING, detail)


def _fault_of(envelope: Envelope) -> str | None:
    """What makes a well-formed envelope unusable; nothing that `ingest_api` writes."""
    if not envelope.project:
        return "The envelope names no project."
    if not all(map(_is_uuid, {envelope.record_id, envelope.event_id})):  # of a report they are the same
        return "The envelope's ids are no UUIDs."
    if not _is_storable(envelope.accepted_at) or not _is_storable(envelope.created_at):
        return "The envelope's times cannot be stored."
    return None


def _is_storable(ms: int) -> bool:
    return EARLIEST_STORED_MS <= ms <= LATEST_STORED_MS


_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None
