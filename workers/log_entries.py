"""Inserted log entries → Facts. An update replaces the same fields: `entry_fields` reads both."""

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import msgspec

from ledger.dialects import cut, text_of, unknown_keys, value_of
from workers.decoding import Accepted
from workers.facts import Facts, text_or_none
from workers.media import media_items
from workers.metadata import Pairs, merged
from workers.payloads import decoded, read_call
from workers.providers import inferred_provider

SIDES = ("request", "response")
KNOWN = frozenset(
    {"model", "duration", "initiator", "description", "request_data", "response_data", "metadata", "cost", "media"}
)
PICO_USD = Decimal(10) ** 12


def facts(event: Accepted) -> Facts:
    """What the entry says; its payloads are kept as they came."""
    fields = cut(event.body)
    model = text_or_none(value_of(fields.get("model")))
    raw_request, raw_response = text_of(fields.get("request_data")), text_of(fields.get("response_data"))
    request = decoded(raw_request)
    return Facts(
        source="log_entry",
        requested_at=event.envelope.accepted_at,
        duration_ms=duration_ms(fields.get("duration")),
        provider=inferred_provider(model),
        model_requested=model,
        streamed=read_call(request).streamed,
        user_id=text_or_none(value_of(fields.get("initiator"))),
        description=text_in(fields.get("description")),
        metadata=metadata_of(fields.get("metadata")),
        cost_provided=pico_usd(fields.get("cost")),
        raw_request=raw_request,
        raw_response=raw_response,
        media=tuple(
            item for side, items in media_sides(fields.get("media")).items() for item in media_items(side, items)
        ),
        extra=unknown_keys(fields, KNOWN),
        request=request,
        response=decoded(raw_response),
    )


def duration_ms(raw: msgspec.Raw | None) -> float | None:
    """Milliseconds of a duration in seconds; the decimal text is multiplied, so 9.1 s is 9100 ms."""
    number = _decimal(raw)
    if number is None or number < 0:
        return None
    ms = float(number * 1000)
    return ms if math.isfinite(ms) else None


def pico_usd(raw: msgspec.Raw | None) -> int | None:
    """The exact pico-USD of an amount in USD, from its decimal text; beyond 12 decimals half-even."""
    number = _decimal(raw)
    if number is None or number < 0:
        return None
    amount = int((number * PICO_USD).to_integral_value(ROUND_HALF_EVEN))
    return amount if amount < 2**63 else None


def text_in(raw: msgspec.Raw | None) -> str | None:
    """A text, also an empty one."""
    value = value_of(raw)
    return value if isinstance(value, str) else None


def metadata_of(raw: msgspec.Raw | None) -> Pairs:
    """The entry's metadata as text → text."""
    value = value_of(raw)
    return merged(value) if isinstance(value, dict) else ()


def media_sides(raw: msgspec.Raw | None) -> Mapping[str, list[Any]]:
    """The items of each side that was given."""
    value = value_of(raw)
    if not isinstance(value, dict):
        return {}
    return {side: value[side] for side in SIDES if isinstance(value.get(side), list)}


def _decimal(raw: msgspec.Raw | None) -> Decimal | None:
    text = text_of(raw)
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
