"""The bodies that the report APIs take, cut into raw slices. `ingest_api` validates them, `workers` read them.

A payload stays the bytes that came, `msgspec.Raw`, until somebody needs a part of it.
Unknown keys are kept: they are what `unknown_keys` finds beside a dialect's own.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from ledger.errors import Invalid

MAX_SMALL_FIELD_BYTES = 1024 * 1024
"""Fields that are read whole (tags, times, texts of errors) may be this large together; payloads have no such limit."""

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything = msgspec.json.Decoder()


class Unreadable(Invalid):
    """The body is not JSON."""


class NotAnObject(Invalid):
    """The body must be a JSON object."""


def cut(body: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The object's values as raw slices, by key. Raises `Unreadable` or `NotAnObject`."""
    try:
        return _objects.decode(body)
    except msgspec.ValidationError as error:
        raise NotAnObject(f"The body must be a JSON object: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error) or "The body is not JSON.") from None


def value_of(raw: msgspec.Raw | None) -> Any:
    """The value of a slice; None when it is absent or null. Raises `Unreadable` when it cannot be read."""
    if raw is None:
        return None
    try:
        return _anything.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error) or "The value is not JSON.") from None


def text_of(raw: msgspec.Raw | None) -> str | None:
    """The slice's own text, untouched; None when it is absent or null."""
    if raw is None:
        return None
    text = str(raw, "utf-8")
    return None if text == "null" else text


def unknown_keys(fields: dict[str, msgspec.Raw], known: Collection[str]) -> dict[str, msgspec.Raw]:
    """What the sender put beside the dialect's own keys."""
    return {key: raw for key, raw in fields.items() if key not in known}
