"""OpenPipe's reports → Facts, for calls of OpenAI-like models and of Anthropic's."""

import msgspec

from ledger.dialects import text_of, unknown_keys, value_of
from ledger.dialects.openpipe import KNOWN_KEYS, number_of, status_of, tags_of, text_map
from ledger.instants import epoch_ms
from ledger.report import Kind
from workers.decoding import Accepted
from workers.facts import Facts, text_or_none
from workers.metadata import first_of
from workers.payloads import decoded, read_call
from workers.providers import prefixed_provider
from workers.usual_replies import reply_in


def facts(event: Accepted) -> Facts:
    """What the report says; its payloads are kept as they came. Raises `Invalid` for what the API refuses."""
    fields = event.fields
    is_anthropic = event.envelope.kind is Kind.OPENPIPE_REPORT_ANTHROPIC
    raw_request, raw_response = text_of(fields.get("reqPayload")), text_of(fields.get("respPayload"))
    call = read_call(decoded(raw_request))
    metadata = (text_map(call.metadata) if call.metadata else {}) | tags_of(fields)
    figures = _figures_of(fields)
    return Facts(
        source="openpipe_anthropic" if is_anthropic else "openpipe",
        requested_at=event.envelope.accepted_at if figures.requested_at is None else figures.requested_at,
        received_at=figures.received_at,
        provider="anthropic" if is_anthropic else prefixed_provider(call.model) or "openai",
        model_requested=call.model,
        status_code=figures.status_code,
        error=text_or_none(value_of(fields.get("errorMessage"))),
        streamed=call.streamed,
        user_id=call.user or text_or_none(call.metadata.get("user_id")) or first_of(metadata, "userId", "user_id"),
        metadata=tuple(metadata.items()),
        raw_request=raw_request,
        raw_response=raw_response,
        extra=unknown_keys(fields, KNOWN_KEYS) | figures.kept_as_sent,
        call=call,
        reply=reply_in(raw_response),
    )


class _Figures(msgspec.Struct, frozen=True):
    """The figures of a report as columns hold them, and the slices of those that the columns do not show as sent."""

    requested_at: int | None
    received_at: int | None
    status_code: int | None
    kept_as_sent: dict[str, msgspec.Raw]  # seconds, and what no column can hold


def _figures_of(fields: dict[str, msgspec.Raw]) -> _Figures:
    """Each is read once. Raises `NotANumber`."""
    requested = number_of(value_of(fields.get("requestedAt")))
    received = number_of(value_of(fields.get("receivedAt")))
    status = number_of(value_of(fields.get("statusCode")))
    figures = _Figures(epoch_ms(requested), epoch_ms(received), status_of(status), {})
    if requested and requested != figures.requested_at:
        figures.kept_as_sent["requestedAt"] = fields["requestedAt"]
    if received and received != figures.received_at:
        figures.kept_as_sent["receivedAt"] = fields["receivedAt"]
    if status and status != figures.status_code:
        figures.kept_as_sent["statusCode"] = fields["statusCode"]
    return figures
