"""What a log entry says, whoever asks: the API that checks it or the worker that stores it.

Every function is pure. On a body that the API accepted none of them raises; on any other they raise `Invalid`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from ledger.dialects import cut, value_of
from ledger.errors import Invalid, TooLarge

Fields = Mapping[str, msgspec.Raw]

PAYLOADS = ("request_data", "response_data", "media")
SMALL_FIELDS = ("model", "duration", "initiator", "description", "metadata", "cost")
KNOWN_KEYS = frozenset((*PAYLOADS, *SMALL_FIELDS))
UPDATE_KEYS = frozenset({"id", "update_data"})

SIDES = ("request", "response")
MAX_MEDIA_BYTES = 10 * 1024 * 1024
"""The largest medium that is accepted, decoded."""
MAX_MEDIA_ITEMS = 1000
"""Per side of an entry."""

MAX_COST_USD = Decimal(9_200_000)
MAX_DURATION_SECONDS = 1e12

_PICO = Decimal("1e-12")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITESPACE = b" \t\r\n"


class MediaKind(StrEnum):
    """What an item's `data` is."""

    BASE64 = "base64"
    DATA_URI = "data_uri"
    URL = "url"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One item of `media`, its `data` not yet decoded."""

    side: str  # request or response
    kind: MediaKind
    data: str
    fields: dict[str, msgspec.Raw]  # the item as it came, unknown keys included


class _Image(msgspec.Struct):
    type: Literal["image"]
    data: msgspec.Raw


_images = msgspec.json.Decoder(list[_Image])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


def duration_ms(fields: Fields) -> float | None:
    """The processing time in milliseconds (it is sent in seconds); None when not told. Raises `Invalid`."""
    seconds = _number(fields, "duration")
    if seconds is None:
        return None
    if not 0 <= seconds <= MAX_DURATION_SECONDS:
        raise Invalid("duration must be at least 0 and at most 1e12 seconds")
    return seconds * 1000


def cost_pico_usd(fields: Fields) -> int | None:
    """The given cost in pico-USD, read from its decimal text; None when not told. Raises `Invalid`."""
    number = _number(fields, "cost")
    if number is None:
        return None
    if not 0 <= number <= MAX_COST_USD:
        raise Invalid(f"cost must be at least 0 and at most {MAX_COST_USD} USD")
    if number < 1e-15:
        return 0  # also keeps exponents that only a float can hold away from Decimal
    text = bytes(fields["cost"]).decode()
    return int(Decimal(text).quantize(_PICO, ROUND_HALF_EVEN).scaleb(12))


def media_of(raw: msgspec.Raw | None) -> Iterator[MediaItem]:
    """The items of `media`, one by one, as they came. Raises `Invalid`; `TooLarge` for one beyond the limit."""
    if raw is None or _first_byte(raw) == b"n":
        return
    if _first_byte(raw) != b"{":
        raise Invalid("media must be an object")
    sides = cut(raw)
    for side in SIDES:
        for index, item in enumerate(_items(sides.get(side), side)):
            yield _media_item(item, side, f"media.{side}[{index}]")


def media_kind(data: str) -> MediaKind:
    """What this text is, judged by its form alone: nothing is decoded or fetched."""
    start = data[:8].lower()
    if start.startswith(("http://", "https://")):
        return MediaKind.URL
    if start.startswith("data:") and "," in data:
        return MediaKind.DATA_URI
    return MediaKind.BASE64 if _is_base64(data) else MediaKind.OPAQUE


def decoded_size(data: str, kind: MediaKind) -> int:
    """How many bytes the data are once decoded, from its length; 0 for what is no medium but names one."""
    if kind is MediaKind.BASE64:
        return _base64_size(data)
    if kind is not MediaKind.DATA_URI:
        return 0
    head, _, content = data.partition(",")
    if head.lower().endswith(";base64"):
        return _base64_size(content)
    return len(content.encode()) - 2 * content.count("%")


def _number(fields: Fields, name: str) -> float | None:
    value = value_of(fields.get(name))
    if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
        raise Invalid(f"{name} must be a number")
    return value


def _items(raw: msgspec.Raw | None, side: str) -> list[msgspec.Raw]:
    if raw is None or _first_byte(raw) == b"n":
        return []
    try:
        # Typed first: the first item that is no image ends it, before a hostile list is built.
        count = len(_images.decode(raw))
    except msgspec.ValidationError as error:
        raise Invalid(f'media.{side} must be a list of items of the type "image" with data: {error}') from None
    if count > MAX_MEDIA_ITEMS:
        raise Invalid(f"media.{side} must have at most {MAX_MEDIA_ITEMS} items")
    return _lists.decode(raw)


def _media_item(raw: msgspec.Raw, side: str, path: str) -> MediaItem:
    fields = cut(raw)
    data = value_of(fields["data"]) if _first_byte(fields["data"]) == b'"' else None
    if not isinstance(data, str):
        raise Invalid(f"{path}.data must be a string")
    kind = media_kind(data)
    if decoded_size(data, kind) > MAX_MEDIA_BYTES:
        raise TooLarge(f"{path}.data is larger than {MAX_MEDIA_BYTES} bytes")
    return MediaItem(side, kind, data, fields)


def _first_byte(raw: msgspec.Raw) -> bytes:
    """Tells the JSON type of a slice without copying it."""
    return bytes(memoryview(raw)[:1])


def _is_base64(data: str) -> bool:
    if not data or not data.isascii():
        return False
    compact = data.encode().translate(None, _WHITESPACE)
    digits = compact.rstrip(b"=")
    padded = len(compact) - len(digits) <= 2 and len(compact) % 4 == 0
    return bool(digits) and padded and not digits.translate(None, _BASE64)


def _base64_size(text: str) -> int:
    compact = text.encode().translate(None, _WHITESPACE).rstrip(b"=")
    return len(compact) * 3 // 4
