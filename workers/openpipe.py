"""OpenPipe's reports → Facts, for calls of OpenAI-like models and of Anthropic's."""

from typing import Any

import msgspec

from ledger.dialects import cut, text_of, unknown_keys, value_of
from ledger.instants import SECONDS_BELOW, epoch_ms
from ledger.report import Kind
from workers.decoding import Accepted
from workers.facts import Facts, status_of, text_or_none
from workers.metadata import first_of, merged
from workers.payloads import decoded, read_call
from workers.providers import prefixed_provider

KNOWN = frozenset(
    {"requestedAt", "receivedAt", "reqPayload", "respPayload", "statusCode", "errorMessage", "tags", "metadata"}
)


def facts(event: Accepted) -> Facts:
    """What the report says; its payloads are kept as they came."""
    fields = cut(event.body)
    is_anthropic = event.envelope.kind is Kind.OPENPIPE_REPORT_ANTHROPIC
    raw_request, raw_response = text_of(fields.get("reqPayload")), text_of(fields.get("respPayload"))
    request, response = decoded(raw_request), decoded(raw_response)
    call = read_call(request)
    metadata = merged(call.metadata, _tags(fields, "tags"), _tags(fields, "metadata"))
    requested_at = _time(fields, "requestedAt")
    return Facts(
        source="openpipe_anthropic" if is_anthropic else "openpipe",
        requested_at=event.envelope.accepted_at if requested_at is None else requested_at,
        received_at=_time(fields, "receivedAt"),
        provider="anthropic" if is_anthropic else prefixed_provider(call.model) or "openai",
        model_requested=call.model,
        status_code=status_of(value_of(fields.get("statusCode"))),
        error=text_or_none(value_of(fields.get("errorMessage"))),
        streamed=call.streamed,
        user_id=call.user or text_or_none(call.metadata.get("user_id")) or first_of(metadata, "userId", "user_id"),
        metadata=metadata,
        raw_request=raw_request,
        raw_response=raw_response,
        extra=unknown_keys(fields, KNOWN) | _times_in_seconds(fields),
        request=request,
        response=response,
    )


def _number(raw: msgspec.Raw | None) -> float | None:
    value = value_of(raw)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(fields: dict[str, msgspec.Raw], key: str) -> int | None:
    return epoch_ms(_number(fields.get(key)))


def _times_in_seconds(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Times that were converted are kept as they were sent."""
    numbers = {key: _number(fields.get(key)) for key in ("requestedAt", "receivedAt")}
    return {key: fields[key] for key, number in numbers.items() if number and abs(number) < SECONDS_BELOW}


def _tags(fields: dict[str, msgspec.Raw], key: str) -> dict[str, Any]:
    tags = value_of(fields.get(key))
    return {tag_name(name): value for name, value in tags.items()} if isinstance(tags, dict) else {}


_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$.")


def tag_name(name: str) -> str:
    """A tag's name as it is stored: whatever is no letter, digit, `_`, `$` or `.` becomes `_`."""
    return "".join(character if character in _KEPT else "_" for character in name)
