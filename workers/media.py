"""Media of log entries: what is inline becomes a blob named by its hash, links and other texts stay as they are."""

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from ledger.dialects import value_of
from ledger.dialects.log_entries import MediaItem, MediaKind, media_of

_INLINE = frozenset({MediaKind.BASE64.value, MediaKind.DATA_URI.value})
"""The kinds that a stored item has only when its content is a blob."""


OURS = frozenset({"side", "kind", "sha256", "bytes", "media_type", "href", "sent"})
"""Keys that say what we found; a sender's own of that name are kept apart."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to keep, under the hash of their content."""

    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item as the row keeps it, and the blob that it names, if any."""

    description: Mapping[str, Any]  # the sender's own keys, side, kind; sha256, bytes, media_type or data
    blob: Blob | None = None

    @property
    def side(self) -> str:
        """request or response."""
        return str(self.description["side"])


def media_items(raw: msgspec.Raw | None) -> tuple[StoredItem, ...]:
    """The items of `media`, in order. Raises `Invalid` for what the API refuses."""
    return tuple(_stored(item) for item in media_of(raw))


def _stored(item: MediaItem) -> StoredItem:
    sent = {key: value_of(value) for key, value in item.fields.items() if key != "data"}
    own = {key: value for key, value in sent.items() if key not in OURS} | {"side": item.side}
    if len(sent) > len(own) - 1:
        own["sent"] = {key: value for key, value in sent.items() if key in OURS}
    content = _content(item)
    if content is None:
        kind = item.kind if item.kind is MediaKind.URL else MediaKind.OPAQUE
        return StoredItem(own | {"kind": kind.value, "data": item.data})
    blob = Blob(sha256(content).hexdigest(), content)
    described = own | {"kind": item.kind.value, "sha256": blob.sha256, "bytes": len(content)}
    media_type = item.data[5:].partition(",")[0].partition(";")[0] if item.kind is MediaKind.DATA_URI else ""
    return StoredItem(described | ({"media_type": media_type} if media_type else {}), blob)


def _content(item: MediaItem) -> bytes | None:
    """The bytes of an inline item; None for links, and for what turns out to be no base64."""
    if item.kind is MediaKind.BASE64:
        return _base64(item.data)
    if item.kind is not MediaKind.DATA_URI:
        return None
    head, _, payload = item.data.partition(",")
    return _base64(payload) if head.lower().endswith(";base64") else unquote_to_bytes(payload)


def _base64(text: str) -> bytes | None:
    try:
        return b64decode("".join(text.split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def media_json(items: Sequence[StoredItem]) -> str | None:
    """The items as the row keeps them."""
    return msgspec.json.encode([dict(item.description) for item in items]).decode() if items else None


def hashes_of(descriptions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The blobs that these items name, each once, in order. A sender's own `sha256` on a link names none."""
    return tuple(dict.fromkeys(str(item["sha256"]) for item in descriptions if item["kind"] in _INLINE))
