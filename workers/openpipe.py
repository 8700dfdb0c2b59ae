"""OpenPipe's reports → Facts, for calls of OpenAI-like models and of Anthropic's."""

import msgspec

from ledger.dialects import text_of, unknown_keys, value_of
from ledger.dialects.openpipe import (
    KNOWN_KEYS,
    fields_of,
    number_of,
    received_at_ms,
    requested_at_ms,
    status_code,
    tags_of,
    text_map,
)
from ledger.report import Kind
from workers.decoding import Accepted
from workers.facts import Facts, text_or_none
from workers.metadata import first_of
from workers.payloads import decoded, read_call, read_reply
from workers.providers import prefixed_provider


def facts(event: Accepted) -> Facts:
    """What the report says; its payloads are kept as they came. Raises `Invalid` for what the API refuses."""
    fields = fields_of(event.body)
    is_anthropic = event.envelope.kind is Kind.OPENPIPE_REPORT_ANTHROPIC
    raw_request, raw_response = text_of(fields.get("reqPayload")), text_of(fields.get("respPayload"))
    call = read_call(decoded(raw_request))
    metadata = tuple((text_map(call.metadata) | tags_of(fields)).items())
    requested_at = requested_at_ms(fields)
    return Facts(
        source="openpipe_anthropic" if is_anthropic else "openpipe",
        requested_at=event.envelope.accepted_at if requested_at is None else requested_at,
        received_at=received_at_ms(fields),
        provider="anthropic" if is_anthropic else prefixed_provider(call.model) or "openai",
        model_requested=call.model,
        status_code=status_code(fields),
        error=text_or_none(value_of(fields.get("errorMessage"))),
        streamed=call.streamed,
        user_id=call.user or text_or_none(call.metadata.get("user_id")) or first_of(metadata, "userId", "user_id"),
        metadata=metadata,
        raw_request=raw_request,
        raw_response=raw_response,
        extra=unknown_keys(fields, KNOWN_KEYS) | _kept_as_sent(fields),
        call=call,
        reply=read_reply(decoded(raw_response)),
    )


def _kept_as_sent(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Figures that the columns do not show as they were sent: seconds, and what no column can hold."""
    stored = {
        "requestedAt": requested_at_ms(fields),
        "receivedAt": received_at_ms(fields),
        "statusCode": status_code(fields),
    }
    sent = {key: number_of(value_of(fields.get(key))) for key in stored}
    return {key: fields[key] for key, number in sent.items() if number and stored[key] != number}
