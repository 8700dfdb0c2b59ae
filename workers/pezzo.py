"""Pezzo's reports → Facts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.dialects import text_of, unknown_keys, value_of
from ledger.dialects.pezzo import (
    KNOWN_KEYS,
    METADATA_KEYS,
    REQUEST_KEYS,
    RESPONSE_KEYS,
    part_of,
    status_code,
    timestamp_ms,
)
from workers.decoding import Accepted
from workers.facts import Facts, text_or_none
from workers.metadata import merged
from workers.payloads import decoded, names_an_error, read_call
from workers.usual_replies import reply_in

Fields = dict[str, msgspec.Raw]

SHOWN_METADATA = ("environment", "client", "clientVersion", "type", "promptId", "promptVersionSha")


def facts(event: Accepted) -> Facts:
    """What the report says; its payloads are kept as they came. Raises `Invalid` for what the API refuses."""
    fields = event.fields
    request, response = part_of(fields, "request"), part_of(fields, "response")
    said, properties = _values(fields, "metadata"), _values(fields, "properties")
    raw_request, raw_response = text_of(request.get("body")), text_of(response.get("body"))
    call = read_call(decoded(raw_request))
    known = {name: said.get(name) for name in SHOWN_METADATA} | {"cacheEnabled": value_of(fields.get("cacheEnabled"))}
    requested_at = timestamp_ms(request)
    return Facts(
        source="pezzo",
        requested_at=event.envelope.accepted_at if requested_at is None else requested_at,
        received_at=timestamp_ms(response),
        provider=(text_or_none(said.get("provider")) or "").lower() or None,
        model_requested=call.model,
        status_code=status_code(response),
        error_without_status=raw_response is None or names_an_error(raw_response),
        streamed=call.streamed,
        cached=value_of(fields.get("cacheHit")) is True,
        user_id=text_or_none(properties.get("userId")) or call.user,
        environment=text_or_none(said.get("environment")),
        metadata=merged(known, properties),
        raw_request=raw_request,
        raw_response=raw_response,
        extra=_extra(fields, said, request, response),
        call=call,
        reply=reply_in(raw_response),
    )


def _values(fields: Fields, key: str) -> dict[str, Any]:
    value = value_of(fields.get(key))
    return value if isinstance(value, dict) else {}


def _extra(fields: Fields, said: Mapping[str, Any], request: Fields, response: Fields) -> Fields:
    """Unknown keys of every level, each under its place."""
    all_known = said and said.keys() <= METADATA_KEYS  # as nearly always: then it need not be cut
    inner = {
        "metadata": {} if all_known else unknown_keys(part_of(fields, "metadata"), METADATA_KEYS),
        "request": unknown_keys(request, REQUEST_KEYS),
        "response": unknown_keys(response, RESPONSE_KEYS),
    }
    found = {place: msgspec.Raw(msgspec.json.encode(keys)) for place, keys in inner.items() if keys}
    return unknown_keys(fields, KNOWN_KEYS) | found
