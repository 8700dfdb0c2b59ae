"""Media of log entries: what is inline becomes a blob named by its hash, links and other texts stay as they are."""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to keep, under the hash of their content."""

    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One item as the row keeps it, and the blob that it names, if any."""

    description: Mapping[str, Any]  # side, type, title, kind; sha256, bytes, media_type or data; the sender's own keys
    blob: Blob | None = None

    @property
    def side(self) -> str:
        """request or response."""
        return str(self.description["side"])


def media_items(side: str, items: Sequence[Any]) -> Iterator[MediaItem]:
    """The items of one side, in order."""
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("data"), str):
            yield _item(side, item)


def _item(side: str, item: dict[str, Any]) -> MediaItem:
    data = item["data"]
    own = {key: value for key, value in item.items() if key != "data"} | {"side": side}
    if data.startswith(("http://", "https://")):
        return MediaItem(own | {"kind": "url", "data": data})
    inline = _data_uri(data) if data.startswith("data:") else _base64(data)
    if inline is None:
        return MediaItem(own | {"kind": "opaque", "data": data})
    kind, media_type, content = inline
    blob = Blob(sha256(content).hexdigest(), content)
    described = own | {"kind": kind, "sha256": blob.sha256, "bytes": len(content)}
    return MediaItem(described | ({"media_type": media_type} if media_type else {}), blob)


def _base64(text: str) -> tuple[str, str | None, bytes] | None:
    try:
        content = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return ("base64", None, content) if content else None


def _data_uri(text: str) -> tuple[str, str | None, bytes] | None:
    head, comma, payload = text[5:].partition(",")
    media_type, _, parameters = head.partition(";")
    if not comma:
        return None
    if not f";{parameters}".endswith(";base64"):
        return "data_uri", media_type or None, unquote_to_bytes(payload)
    decoded = _base64(payload)
    return ("data_uri", media_type or None, decoded[2]) if decoded else None


def media_json(items: Sequence[MediaItem]) -> str | None:
    """The items as the row keeps them."""
    return msgspec.json.encode([dict(item.description) for item in items]).decode() if items else None


def hashes_of(descriptions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The blobs that these items name, each once, in order."""
    return tuple(dict.fromkeys(str(item["sha256"]) for item in descriptions if "sha256" in item))
