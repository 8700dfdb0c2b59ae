"""Cuts a body into the slices that a check needs and skips the rest unread: no input makes it build much.

What is skipped still travels, with the body, and is cut out by the worker; `check_key_count` keeps that cheap too.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from ledger.dialects import MAX_SMALL_FIELD_BYTES, NotAnObject, Unreadable, value_of
from ledger.errors import TooLarge

MAX_COLONS_BESIDE_PAYLOADS = 100_000
FEW_KEYS_BELOW_BYTES = 512 * 1024
_STAND_INS: dict[bytes, Any] = {b"{": {}, b"[": [], b'"': "", b"t": True, b"f": False, b"n": None}


_anything = msgspec.json.Decoder(msgspec.Raw)


class Slicer:
    """Cuts objects at some of their keys."""

    def __init__(self, names: Collection[str]) -> None:
        slot = msgspec.Raw | msgspec.UnsetType
        slices = msgspec.defstruct("Slices", [(name, slot, msgspec.UNSET) for name in names])
        self._names = tuple(names)
        self._decoder = msgspec.json.Decoder(slices)

    def cut(self, body: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
        """The raw values of those keys that are there. Raises `Unreadable` or `NotAnObject`."""
        try:
            slices = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            _check_grammar(body)
            raise NotAnObject(f"The body must be a JSON object: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(str(error) or "The body is not JSON.") from None
        found = ((name, getattr(slices, name)) for name in self._names)
        return {name: raw for name, raw in found if raw is not msgspec.UNSET}


def _check_grammar(body: bytes | msgspec.Raw) -> None:
    try:
        _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error) or "The body is not JSON.") from None


def check_small(fields: Mapping[str, msgspec.Raw], names: Collection[str]) -> None:
    """Raise `TooLarge` when the fields that somebody must read whole are not small together."""
    if sum(len(bytes(fields[name])) for name in names if name in fields) > MAX_SMALL_FIELD_BYTES:
        raise TooLarge(f"The fields {', '.join(names)} are larger than {MAX_SMALL_FIELD_BYTES} bytes together.")


def values_of(fields: Mapping[str, msgspec.Raw], names: Collection[str]) -> dict[str, Any]:
    """The values of those fields that are there."""
    return {name: value_of(fields[name]) for name in names if name in fields}


def stand_ins_of(fields: Mapping[str, msgspec.Raw], names: Collection[str]) -> dict[str, Any]:
    """An empty value of the same JSON type for those fields that are there."""
    return {name: stand_in(fields[name]) for name in names if name in fields}


def stand_in(raw: msgspec.Raw) -> Any:
    """An empty value of the slice's JSON type: enough to check the type of a payload without building it."""
    return _STAND_INS.get(bytes(memoryview(raw)[:1]), 0)


def check_key_count(body: bytes, payloads: Iterable[msgspec.Raw]) -> None:
    """Raise `TooLarge` for a body that is dear to cut at every key, for the keys (or colons) beside its payloads."""
    if len(body) <= FEW_KEYS_BELOW_BYTES:
        return
    inside = sum(bytes(payload).count(b":") for payload in payloads)
    if body.count(b":") - inside > MAX_COLONS_BESIDE_PAYLOADS:
        raise TooLarge(f"The body has more than {MAX_COLONS_BESIDE_PAYLOADS} keys beside its payloads.")
