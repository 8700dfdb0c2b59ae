"""Dialects of usage, model and time → one RequestLog, priced: the row as it is when no update of it is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ledger.bus.broadcasts import partitions_of
from ledger.deletion import Deletion, read_scope
from ledger.dialects import text_of
from ledger.errors import Invalid
from ledger.patch import EMPTY, Patch
from ledger.report import Kind
from ledger.request_log import Bodies, RequestLog, version_of
from workers import log_entries, openpipe, pezzo
from workers.decoding import Accepted, RejectCode, Rejected
from workers.deriving import Price, derived_columns, for_pricing, grouping_columns, is_error
from workers.facts import Facts
from workers.media import Blob, hashes_of, media_json
from workers.updating import check_fields

DIALECTS: Mapping[Kind, Callable[[Accepted], Facts]] = {
    Kind.OPENPIPE_REPORT: openpipe.facts,
    Kind.OPENPIPE_REPORT_ANTHROPIC: openpipe.facts,
    Kind.PEZZO_REQUEST: pezzo.facts,
    Kind.LOG_INSERT: log_entries.facts,
}


class Normalised(msgspec.Struct, frozen=True, gc=False):
    """A report as its complete row, as long as no other event of it is known, and the blobs that the row names."""

    event: Accepted
    row: RequestLog
    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """An update of a record, or its deletion, as the store keeps it."""

    event: Accepted
    patch: Patch


@dataclass(frozen=True, slots=True)
class ScopeDeletion:
    """A deletion by user or by filter, at its place in one partition."""

    event: Accepted
    deletion: Deletion


def normalise(event: Accepted, price: Price) -> Normalised | Update | ScopeDeletion | Rejected:
    """The report as a row, or the change as a patch. Rejected is what the API would have refused.

    Raises only what `price` raises: `UnknownPriceVersion`.
    """
    kind = event.envelope.kind
    try:
        if kind in DIALECTS:
            return _report(event, price)
        match kind:
            case Kind.LOG_UPDATE:
                return _update(event)
            case Kind.RECORD_DELETE:
                return Update(event, _patch(event, EMPTY))
            case _:
                return _scope_deletion(event)
    except Invalid as error:
        return Rejected(event.delivery, RejectCode.BODY_INVALID, type(error).__name__, type(error).__name__)


def _report(event: Accepted, price: Price) -> Normalised:
    facts = DIALECTS[event.envelope.kind](event)
    row = price(for_pricing(_row(event, facts), facts.call, facts.reply))
    return Normalised(event, row, tuple(item.blob for item in facts.media if item.blob) if facts.media else ())


def _update(event: Accepted) -> Update:
    patch = _patch(event, text_of(event.fields.get("update_data")) or EMPTY)
    check_fields(patch)
    return Update(event, patch)


def _scope_deletion(event: Accepted) -> ScopeDeletion:
    """One that is replayed means what was accepted before its replay: how things were before is no longer stored."""
    envelope = event.envelope
    scope, what = read_scope(event.body, envelope.project)
    deletion = Deletion(
        envelope.project,
        envelope.event_id,
        event.delivery.read_at,
        scope,
        what,
        envelope.accepted_at,
        partitions=partitions_of(event.delivery),
    )
    return ScopeDeletion(event, deletion)


def _patch(event: Accepted, body: str) -> Patch:
    envelope = event.envelope
    return Patch(
        project=envelope.project,
        id=envelope.record_id,
        position=event.position,
        event_id=envelope.event_id,
        kind=envelope.kind,
        accepted_at=envelope.accepted_at,
        price_version=envelope.price_version,
        body_hash=event.body_hash(),
        body=body,
    )


def _row(event: Accepted, facts: Facts) -> RequestLog:
    envelope = event.envelope
    sign = facts.error_without_status or (facts.source != "pezzo" and facts.reply.has_error_key)
    return RequestLog(
        project=envelope.project,
        created_at=envelope.created_at,
        id=envelope.record_id,
        version=version_of(event.position, 1),
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
        error=facts.error or facts.reply.error,
        streamed=facts.streamed,
        cached=facts.cached,
        user_id=facts.user_id,
        description=facts.description,
        metadata=facts.metadata,
        cost_provided=facts.cost_provided,
        price_version=envelope.price_version,
        media_hashes=hashes_of([item.description for item in facts.media]) if facts.media else (),
        bodies=_bodies(facts),
        **grouping_columns(facts.metadata, facts.environment),
        **derived_columns(facts.call, facts.reply),
    )


def _bodies(facts: Facts) -> Bodies:
    extra = msgspec.json.encode(facts.extra).decode() if facts.extra else None
    return Bodies(
        prompt=facts.call.prompt,
        completion=facts.reply.completion,
        raw_request=facts.raw_request,
        raw_response=facts.raw_response,
        raw_stream=facts.reply.stream,
        media=media_json(facts.media) if facts.media else None,
        extra=extra,
    )


def _duration(facts: Facts) -> float | None:
    """As given, else between the two times; a negative one is unknown."""
    if facts.duration_ms is not None:
        return facts.duration_ms
    if facts.received_at is None or facts.received_at < facts.requested_at:
        return None
    return float(facts.received_at - facts.requested_at)
