"""Inserted log entries → Facts."""

from ledger.dialects import text_of, unknown_keys, value_of
from ledger.dialects.log_entries import KNOWN_KEYS, Fields, cost_pico_usd, duration_ms
from workers.decoding import Accepted
from workers.facts import Facts, text_or_none
from workers.media import media_items
from workers.metadata import Pairs, merged
from workers.payloads import decoded, read_call
from workers.providers import inferred_provider
from workers.usual_replies import reply_in


def facts(event: Accepted) -> Facts:
    """What the entry says; its payloads are kept as they came. Raises `Invalid` for what the API refuses."""
    fields = event.fields
    model = text_or_none(value_of(fields.get("model")))
    raw_request, raw_response = text_of(fields.get("request_data")), text_of(fields.get("response_data"))
    call = read_call(decoded(raw_request))
    return Facts(
        source="log_entry",
        requested_at=event.envelope.accepted_at,
        duration_ms=duration_ms(fields),
        provider=inferred_provider(model),
        model_requested=model,
        streamed=call.streamed,
        user_id=text_or_none(value_of(fields.get("initiator"))),
        description=description_of(fields),
        metadata=metadata_of(fields),
        cost_provided=cost_pico_usd(fields),
        raw_request=raw_request,
        raw_response=raw_response,
        media=media_items(fields.get("media")),
        extra=unknown_keys(fields, KNOWN_KEYS),
        call=call,
        reply=reply_in(raw_response),
    )


def description_of(fields: Fields) -> str | None:
    """The description, also an empty one."""
    value = value_of(fields.get("description"))
    return value if isinstance(value, str) else None


def metadata_of(fields: Fields) -> Pairs:
    """The entry's metadata as text → text."""
    value = value_of(fields.get("metadata"))
    return merged(value) if isinstance(value, dict) else ()
