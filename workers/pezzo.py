"""Pezzo's reports → Facts."""

from typing import Any

import msgspec

from ledger.dialects import cut, text_of, unknown_keys, value_of
from ledger.instants import iso_ms
from workers.decoding import Accepted
from workers.facts import Facts, status_of, text_or_none
from workers.metadata import merged
from workers.payloads import decoded, read_call

Fields = dict[str, msgspec.Raw]

KNOWN = frozenset({"metadata", "properties", "request", "response", "cacheEnabled", "cacheHit"})
KNOWN_METADATA = ("environment", "client", "clientVersion", "type", "promptId", "promptVersionSha")


def facts(event: Accepted) -> Facts:
    """What the report says; its payloads are kept as they came."""
    fields = cut(event.body)
    request, response = _object(fields, "request"), _object(fields, "response")
    said = _values(fields, "metadata")
    properties = _values(fields, "properties")
    raw_request, raw_response = text_of(request.get("body")), text_of(response.get("body"))
    call, reply = decoded(raw_request), decoded(raw_response)
    known = {name: said.get(name) for name in KNOWN_METADATA} | {"cacheEnabled": value_of(fields.get("cacheEnabled"))}
    requested_at = _time(request)
    return Facts(
        source="pezzo",
        requested_at=event.envelope.accepted_at if requested_at is None else requested_at,
        received_at=_time(response),
        provider=(text_or_none(said.get("provider")) or "").lower() or None,
        model_requested=read_call(call).model,
        status_code=status_of(value_of(response.get("status"))),
        error_without_status=raw_response is None or (isinstance(reply, dict) and "error" in reply),
        streamed=read_call(call).streamed,
        cached=value_of(fields.get("cacheHit")) is True,
        user_id=text_or_none(properties.get("userId")) or read_call(call).user,
        environment=text_or_none(said.get("environment")),
        metadata=merged(known, properties),
        raw_request=raw_request,
        raw_response=raw_response,
        extra=_extra(fields, request, response),
        request=call,
        response=reply,
    )


def _object(fields: Fields, key: str) -> Fields:
    raw = fields.get(key)
    return cut(raw) if raw is not None and bytes(raw[:1]) == b"{" else {}


def _values(fields: Fields, key: str) -> dict[str, Any]:
    value = value_of(fields.get(key))
    return value if isinstance(value, dict) else {}


def _time(part: Fields) -> int | None:
    text = value_of(part.get("timestamp"))
    return iso_ms(text) if isinstance(text, str) else None


def _extra(fields: Fields, request: Fields, response: Fields) -> Fields:
    """Unknown keys of every level, each under its place."""
    inner = {
        "metadata": unknown_keys(_object(fields, "metadata"), {*KNOWN_METADATA, "provider"}),
        "request": unknown_keys(request, {"timestamp", "body"}),
        "response": unknown_keys(response, {"timestamp", "body", "status"}),
    }
    found = {place: msgspec.Raw(msgspec.json.encode(keys)) for place, keys in inner.items() if keys}
    return unknown_keys(fields, KNOWN) | found
