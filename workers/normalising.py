"""Dialects of usage, model and time → one RequestLog, not yet priced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ledger.report import Kind
from ledger.request_log import Bodies, RequestLog
from workers import log_entries, openpipe, pezzo
from workers.decoding import Accepted
from workers.deriving import Derived, derive, grouped, is_error
from workers.facts import Facts
from workers.media import Blob, hashes_of, media_json
from workers.payloads import read_reply

DIALECTS: Mapping[Kind, Callable[[Accepted], Facts]] = {
    Kind.OPENPIPE_REPORT: openpipe.facts,
    Kind.OPENPIPE_REPORT_ANTHROPIC: openpipe.facts,
    Kind.PEZZO_REQUEST: pezzo.facts,
    Kind.LOG_INSERT: log_entries.facts,
}


@dataclass(frozen=True, slots=True)
class Normalised:
    """A report as a row that only lacks its cost, and the blobs that the row names."""

    event: Accepted
    derived: Derived
    blobs: tuple[Blob, ...] = ()


def normalise(event: Accepted) -> Normalised:
    """The report as a row. Every report that `decode` accepted has one."""
    facts = DIALECTS[event.envelope.kind](event)
    row = grouped(_row(event, facts), facts.environment)
    blobs = tuple(item.blob for item in facts.media if item.blob)
    return Normalised(event, derive(row, facts.request, facts.response), blobs)


def _row(event: Accepted, facts: Facts) -> RequestLog:
    envelope = event.envelope
    reply = read_reply(facts.response)
    sign = facts.error_without_status or (facts.source != "pezzo" and reply.has_error_key)
    return RequestLog(
        project=envelope.project,
        created_at=envelope.created_at,
        id=envelope.record_id,
        position=event.position,
        source=facts.source,
        ingested_at=envelope.accepted_at,
        updated_at=envelope.accepted_at,
        requested_at=facts.requested_at,
        received_at=facts.received_at,
        duration_ms=_duration(facts),
        provider=facts.provider,
        model_requested=facts.model_requested,
        status_code=facts.status_code,
        is_error=is_error(facts.status_code, facts.error, sign),
        error=facts.error or reply.error,
        streamed=facts.streamed,
        cached=facts.cached,
        user_id=facts.user_id,
        description=facts.description,
        metadata=facts.metadata,
        cost_provided=facts.cost_provided,
        price_version=envelope.price_version,
        media_hashes=hashes_of([item.description for item in facts.media]),
        bodies=_bodies(facts),
    )


def _bodies(facts: Facts) -> Bodies:
    extra = msgspec.json.encode(facts.extra).decode() if facts.extra else None
    return Bodies(
        raw_request=facts.raw_request, raw_response=facts.raw_response, media=media_json(facts.media), extra=extra
    )


def _duration(facts: Facts) -> float | None:
    """As given, else between the two times; a negative one is unknown."""
    if facts.duration_ms is not None:
        return facts.duration_ms
    if facts.received_at is None or facts.received_at < facts.requested_at:
        return None
    return float(facts.received_at - facts.requested_at)
