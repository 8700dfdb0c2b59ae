"""Stored row → what is shown. Pure. Logged JSON is handed through as it stands, never read and written anew."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ledger.clock import from_milliseconds
from ledger.request_log import Bodies, RequestLog
from query_api.schemas import DocumentedRequestItem, RequestItem, RequestLogEntry, RequestLogRow

PICO_PER_USD = 10**12

LISTED_BODIES = ("completion", "raw_request", "raw_response", "raw_stream")
"""The heavy columns that the documented list shows."""

_TIMES = ("created_at", "ingested_at", "updated_at", "requested_at", "received_at")
_MONEY = ("cost_provided", "cost_computed", "cost")
_OTHERWISE = {*_TIMES, *_MONEY, "metadata", "cost_status", "price_version"}
_SHARED = [name for name in RequestLogRow.__struct_fields__ if name in RequestLogEntry.__struct_fields__]
_AS_STORED = tuple(name for name in _SHARED if name not in _OTHERWISE)

_any_json = msgspec.json.Decoder(msgspec.Raw)
_media_list = msgspec.json.Decoder(list[dict[str, Any]])


def listed(log: RequestLog, bodies: Bodies) -> RequestItem:
    """The row in the documented list."""
    return RequestItem(
        **_listed(log, bodies),
        status=log.status_code,
        request_body=json_value(bodies.raw_request),
        response_body=json_value(bodies.raw_response),
    )


def documented(log: RequestLog, bodies: Bodies) -> DocumentedRequestItem:
    """The row in the documented list with `types=documented`."""
    return DocumentedRequestItem(
        **_listed(log, bodies),
        status=None if log.status_code is None else str(log.status_code),
        request_body=bodies.raw_request,
        response_body=bodies.raw_response,
    )


def row(log: RequestLog, found_in: list[str] | msgspec.UnsetType = msgspec.UNSET) -> RequestLogRow:
    """The row in our own list; `found_in` where texts were looked for."""
    return RequestLogRow(
        **_fields(log),
        prompt_preview=log.prompt_preview,
        completion_preview=log.completion_preview,
        found_in=found_in,
    )


def entry(log: RequestLog, bodies: Bodies) -> RequestLogEntry:
    """All that is stored of a call."""
    return RequestLogEntry(
        **_fields(log),
        prompt=bodies.prompt,
        completion=bodies.completion,
        raw_request=bodies.raw_request,
        raw_response=bodies.raw_response,
        raw_stream=bodies.raw_stream,
        request_headers=bodies.request_headers,
        response_headers=bodies.response_headers,
        media=media(bodies.media),
        extra=json_value(bodies.extra),
    )


def media(text: str | None) -> list[dict[str, Any]]:
    """The media items; those whose content is stored say where to get it."""
    items = _media_list.decode(text) if text else []
    return [{**item, "href": f"/api/v1/media/{item['sha256']}"} if item.get("sha256") else item for item in items]


def iso(ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601 in UTC."""
    return from_milliseconds(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usd(pico: int | None) -> str | None:
    """Pico-USD as exact decimal text of USD, without trailing zeros."""
    if pico is None:
        return None
    text = f"{Decimal(pico).scaleb(-12):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_value(text: str | None) -> Any:
    """The text itself where it is JSON, as a string where it is not."""
    if text is None:
        return None
    try:
        return _any_json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _listed(log: RequestLog, bodies: Bodies) -> Mapping[str, Any]:
    return {
        "id": log.id,
        "createdAt": iso(log.created_at),
        "updatedAt": iso(log.updated_at),
        "ip": log.http_ip or "",
        "url": log.http_url or "",
        "method": log.http_method or "POST",
        "cached": log.cached,
        "streamed": log.streamed,
        "user_id": log.user_id,
        "completion": bodies.completion,
        "model": log.model_requested,
        "openai_id": log.provider_response_id or "",
        "prompt_tokens": log.input_tokens,
        "completion_tokens": log.output_tokens,
        "streamed_response_body": bodies.raw_stream,
        "cost": None if log.cost is None else log.cost / PICO_PER_USD,
    }


def _fields(log: RequestLog) -> Mapping[str, Any]:
    times = {name: getattr(log, name) for name in _TIMES}
    return {
        **{name: getattr(log, name) for name in _AS_STORED},
        **{name: None if ms is None else iso(ms) for name, ms in times.items()},
        **{name: usd(getattr(log, name)) for name in _MONEY},
        "metadata": dict(log.metadata),
        "cost_status": log.cost_status.value,
        "price_version": log.price_version or None,
    }
