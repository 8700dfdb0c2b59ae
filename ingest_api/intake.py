"""Stamp and publish: what turns a judged body into an accepted event. Every endpoint that stores goes through here.

A 2xx follows only on the position that `accept_…` returns: the record is durable then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ingest_api.bodies import Body
from ingest_api.health import BusHealth
from ledger import report
from ledger.bus import Position, Publisher, Record
from ledger.clock import Clock, to_milliseconds
from ledger.errors import BodyNotKept, BusUnavailable, Invalid, LedgerError
from ledger.failpoints import failpoint
from ledger.ids import EventId, RecordId, keyed_id, plain_id
from ledger.instants import created_at
from ledger.keys import KeyRing, Principal
from ledger.report import Envelope, Kind

LONGEST_IDEMPOTENCY_KEY = 255


class BadIdempotencyKey(Invalid):
    """Idempotency-Key must be 1 to 255 printable ASCII characters."""


def idempotency_key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The request's own name for its event, trimmed; None when it has none. Raises `BadIdempotencyKey`."""
    raw = headers.get(b"idempotency-key")
    return None if raw is None else idempotency_key(raw.decode("latin-1"))


def idempotency_key(text: str) -> str:
    """The text as the name of an event, trimmed. Raises `BadIdempotencyKey`."""
    key = text.strip()
    if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        raise BadIdempotencyKey
    return key


class Submission(msgspec.Struct, frozen=True):
    """One request that may be accepted: who sent what."""

    principal: Principal
    body: Body
    idempotency_key: str | None


class Stamped(msgspec.Struct, frozen=True):
    """An event whose identity and times are decided; it waits to be made durable."""

    record_id: RecordId
    record: Record


class Receipt(msgspec.Struct, frozen=True):
    """An accepted event: its record and its place on the bus."""

    record_id: RecordId
    position: Position

    @property
    def position_text(self) -> str:
        """The position as the `LLMLedger-Position` header tells it."""
        return self.position.text


def log_id_header(receipt: Receipt) -> tuple[bytes, bytes]:
    """Tells the id of the new record."""
    return b"llmledger-log-id", receipt.record_id.encode()


def position_header(receipt: Receipt) -> tuple[bytes, bytes]:
    """Tells where the event is on the bus."""
    return b"llmledger-position", receipt.position_text.encode()


@dataclass(frozen=True, slots=True)
class Intake:
    """Decides an event's identity and time, once, and puts it on the bus."""

    publisher: Publisher
    keys: KeyRing
    price_version: str
    clock: Clock
    bus_health: BusHealth

    async def accept_report(self, submission: Submission, kind: Kind, requested_at_ms: int | None) -> Receipt:
        """Make the report durable as a new record. Raises `BusUnavailable` when that was not confirmed."""
        return await self._publish(self.stamped_report(submission, kind, requested_at_ms))

    async def accept_update(self, submission: Submission, kind: Kind, record_id: RecordId) -> Receipt:
        """Make the update of that record durable. Raises `BusUnavailable` when that was not confirmed."""
        return await self._publish(self.stamped_update(submission, kind, record_id))

    def stamped_report(self, submission: Submission, kind: Kind, requested_at_ms: int | None) -> Stamped:
        """The report as a new record, not yet durable."""
        accepted_at = to_milliseconds(self.clock())
        created = created_at(requested_at_ms, accepted_at)
        secret = self.keys.id_secret(submission.principal.project)
        key = submission.idempotency_key
        record_id = plain_id(created, secret) if key is None else keyed_id(key, secret)
        return self._stamped(submission, kind, record_id, EventId(record_id), (accepted_at, created))

    def stamped_update(self, submission: Submission, kind: Kind, record_id: RecordId) -> Stamped:
        """The update of that record as an event of its own, not yet durable."""
        accepted_at = to_milliseconds(self.clock())
        secret = self.keys.id_secret(submission.principal.project)
        key = submission.idempotency_key
        event_id = plain_id(accepted_at, secret) if key is None else keyed_id(f"update:{key}", secret)
        return self._stamped(submission, kind, record_id, EventId(event_id), (accepted_at, accepted_at))

    async def publish_all(self, stamped: Sequence[Stamped]) -> list[Receipt | LedgerError]:
        """Make each of them durable: a receipt, or why that was not confirmed, for each in its place."""
        failpoint("A1")
        outcomes = await self.publisher.publish_all([each.record for each in stamped])
        failpoint("A3")
        return [self._outcome(each, outcome) for each, outcome in zip(stamped, outcomes, strict=True)]

    def _outcome(self, stamped: Stamped, outcome: Position | LedgerError) -> Receipt | LedgerError:
        if isinstance(outcome, Position):
            self.bus_health.confirmed()
            return Receipt(stamped.record_id, outcome)
        if isinstance(outcome, BusUnavailable) and not isinstance(outcome, BodyNotKept):
            self.bus_health.refused()
        return outcome

    def _stamped(
        self, submission: Submission, kind: Kind, record_id: RecordId, event_id: EventId, times: tuple[int, int]
    ) -> Stamped:
        project = submission.principal.project
        envelope = Envelope(
            version=report.VERSION,
            record_id=record_id,
            event_id=event_id,
            kind=kind,
            project=project,
            accepted_at=times[0],
            created_at=times[1],
            price_version=self.price_version,
            idempotency_key=submission.idempotency_key,
            content_encoding=submission.body.encoding,
        )
        return Stamped(
            record_id, Record(report.bus_key(project, record_id), report.encode(envelope), submission.body.wire)
        )

    async def _publish(self, stamped: Stamped) -> Receipt:
        failpoint("A1")
        try:
            position = await self.publisher.publish(stamped.record)
        except BodyNotKept:
            raise  # it says nothing of the bus
        except BusUnavailable:
            self.bus_health.refused()
            raise
        self.bus_health.confirmed()
        failpoint("A3")
        return Receipt(stamped.record_id, position)
