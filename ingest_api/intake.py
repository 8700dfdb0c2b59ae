"""Stamp and publish: what turns a judged body into an accepted event. Every endpoint that stores goes through here.

A 2xx follows only on the position that `accept_…` returns: the record is durable then.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest_api.bodies import Body
from ingest_api.health import BusHealth
from ledger import report
from ledger.bus import Position, Publisher, Record
from ledger.clock import Clock, to_milliseconds
from ledger.errors import BusUnavailable, Invalid
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
    if raw is None:
        return None
    key = raw.decode("latin-1").strip()
    if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        raise BadIdempotencyKey
    return key


@dataclass(frozen=True, slots=True)
class Submission:
    """One request that may be accepted: who sent what."""

    principal: Principal
    body: Body
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted event: its record and its place on the bus."""

    record_id: RecordId
    position: Position

    @property
    def position_text(self) -> str:
        """The position as the `LLMLedger-Position` header tells it."""
        return self.position.text


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
        accepted_at = to_milliseconds(self.clock())
        created = created_at(requested_at_ms, accepted_at)
        secret = self.keys.id_secret(submission.principal.project)
        key = submission.idempotency_key
        record_id = plain_id(created, secret) if key is None else keyed_id(key, secret)
        return await self._publish(submission, kind, record_id, EventId(record_id), (accepted_at, created))

    async def accept_update(self, submission: Submission, kind: Kind, record_id: RecordId) -> Receipt:
        """Make the update of that record durable. Raises `BusUnavailable` when that was not confirmed."""
        accepted_at = to_milliseconds(self.clock())
        secret = self.keys.id_secret(submission.principal.project)
        key = submission.idempotency_key
        event_id = plain_id(accepted_at, secret) if key is None else keyed_id(f"update:{key}", secret)
        return await self._publish(submission, kind, record_id, EventId(event_id), (accepted_at, accepted_at))

    async def _publish(
        self, submission: Submission, kind: Kind, record_id: RecordId, event_id: EventId, times: tuple[int, int]
    ) -> Receipt:
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
        record = Record(report.bus_key(project, record_id), report.encode(envelope), submission.body.wire)
        return Receipt(record_id, await self._confirmed(record))

    async def _confirmed(self, record: Record) -> Position:
        failpoint("A1")
        try:
            position = await self.publisher.publish(record)
        except BusUnavailable:
            self.bus_health.refused()
            raise
        self.bus_health.confirmed()
        failpoint("A3")
        return position
