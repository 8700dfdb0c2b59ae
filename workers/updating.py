"""One effective update of a record: merge the patches' fields, apply them to a row. Applying twice changes nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from ledger.dialects import cut, text_of, value_of
from ledger.dialects.log_entries import SIDES, Fields, cost_pico_usd, duration_ms
from ledger.ids import ProjectId, RecordId
from ledger.patch import Patch
from ledger.request_log import Bodies, RequestLog
from workers.deriving import Derived, derive_again, grouping_columns
from workers.facts import text_or_none
from workers.log_entries import description_of, metadata_of
from workers.media import Blob, StoredItem, hashes_of, media_items
from workers.pricing import with_cost
from workers.providers import inferred_provider

PRICING_INPUTS = frozenset({"model", "request_data", "response_data"})
"""Fields from which tokens, model or tier are read: when one changes, the record is priced again."""

MEDIA = "media."
"""Each side of the media is replaced on its own, as the field `media.request` or `media.response`."""

IN_BODIES = PRICING_INPUTS | {"media"}


@dataclass(frozen=True, slots=True)
class FieldUpdate:
    """The value that the highest patch gave a field."""

    value: msgspec.Raw
    by: Patch


Merged = Mapping[str, FieldUpdate]


def merge(patches: Iterable[Patch]) -> Merged:
    """Per field the value of the highest patch that gives one; null gives none. Patches are in order of position.

    Only patches in force count, and of a client's retries only the first.
    """
    merged: dict[str, FieldUpdate] = {}
    seen: set[str] = set()
    for patch in patches:
        if patch.event_id in seen:
            continue
        seen.add(patch.event_id)
        if not patch.is_voided:
            merged |= {name: FieldUpdate(raw, patch) for name, raw in _given(patch).items()}
    return merged


def user_in(merged: Merged) -> str | None:
    """The user that the fields name, if they name one."""
    given = merged.get("initiator")
    return text_or_none(value_of(given.value)) if given else None


def check_fields(patch: Patch) -> None:
    """Return when every field can be applied. Raises `Invalid` for what the API refuses."""
    given = _given(patch)
    for name, raw in given.items():
        if name in _APPLY:
            _APPLY[name](_ANY_ROW, {name: raw})
        else:
            media_items(_side(name, raw))


def _given(patch: Patch) -> dict[str, msgspec.Raw]:
    fields = {name: raw for name, raw in cut(patch.body.encode()).items() if bytes(raw) != b"null"}
    media = fields.pop("media", None)
    sides = cut(media) if media is not None else {}
    return {name: raw for name, raw in fields.items() if name in _APPLY} | {
        f"{MEDIA}{side}": raw for side, raw in sides.items() if side in SIDES and bytes(raw) != b"null"
    }


def _side(name: str, raw: msgspec.Raw) -> msgspec.Raw:
    """One side's list as the `media` of an entry."""
    return msgspec.Raw(msgspec.json.encode({name.removeprefix(MEDIA): raw}))


def needs_bodies(merged: Merged) -> bool:
    """Whether applying this reads or changes a row's heavy columns."""
    return any(name.partition(".")[0] in IN_BODIES for name in merged)


def blobs_of(merged: Merged) -> list[Blob]:
    """The blobs that the updated row will name."""
    return [item.blob for items in _media(merged).values() for item in items if item.blob]


def apply(row: RequestLog, merged: Merged, price: Callable[[Derived], RequestLog]) -> RequestLog:
    """The row with these fields replaced, and everything that follows from them."""
    if not merged:
        return row
    changed = row
    for name, update in merged.items():
        if name in _APPLY:
            changed = _APPLY[name](changed, {name: update.value})
    changed = _with_media(changed, _media(merged))
    latest = max((update.by for update in merged.values()), key=lambda patch: patch.position)
    changed = replace(changed, updated_at=latest.accepted_at)
    priced_by = [update.by for name, update in merged.items() if name in PRICING_INPUTS]
    if not priced_by:
        return with_cost(changed)
    version = max(priced_by, key=lambda patch: patch.position).price_version
    return price(derive_again(replace(changed, price_version=version)))


def _media(merged: Merged) -> dict[str, tuple[StoredItem, ...]]:
    sides = {name: update for name, update in merged.items() if name.startswith(MEDIA)}
    return {name.removeprefix(MEDIA): media_items(_side(name, update.value)) for name, update in sides.items()}


def _with_media(row: RequestLog, sides: Mapping[str, Sequence[StoredItem]]) -> RequestLog:
    if not sides:
        return row
    bodies = row.bodies or Bodies()
    stored = msgspec.json.decode(bodies.media) if bodies.media else []
    kept = [item for item in stored if item["side"] not in sides]
    new = [dict(item.description) for items in sides.values() for item in items]
    items = sorted(kept + new, key=lambda item: str(item["side"]))  # stable: each side keeps its own order
    text = msgspec.json.encode(items).decode() if items else None
    return replace(row, bodies=replace(bodies, media=text), media_hashes=hashes_of(items))


def _body_setter(field: str, column: str) -> Callable[[RequestLog, Fields], RequestLog]:
    def set_body(row: RequestLog, fields: Fields) -> RequestLog:
        return replace(row, bodies=replace(row.bodies or Bodies(), **{column: text_of(fields[field])}))

    return set_body


def _set_model(row: RequestLog, fields: Fields) -> RequestLog:
    model = text_or_none(value_of(fields["model"]))
    provider = inferred_provider(model) if row.source == "log_entry" else row.provider
    return replace(row, model_requested=model, provider=provider)


def _set_metadata(row: RequestLog, fields: Fields) -> RequestLog:
    metadata = metadata_of(fields)
    return replace(row, metadata=metadata, **grouping_columns(metadata))


_APPLY: Mapping[str, Callable[[RequestLog, Fields], RequestLog]] = {
    "model": _set_model,
    "duration": lambda row, fields: replace(row, duration_ms=duration_ms(fields)),
    "initiator": lambda row, fields: replace(row, user_id=text_or_none(value_of(fields["initiator"]))),
    "description": lambda row, fields: replace(row, description=description_of(fields)),
    "request_data": _body_setter("request_data", "raw_request"),
    "response_data": _body_setter("response_data", "raw_response"),
    "metadata": _set_metadata,
    "cost": lambda row, fields: replace(row, cost_provided=cost_pico_usd(fields)),
}

_ANY_ROW = RequestLog(
    project=ProjectId(""), created_at=0, id=RecordId(""), source="", ingested_at=0, updated_at=0, requested_at=0
)
