"""What a report of the OpenPipe family says, whoever asks: the API that checks it or the worker that stores it.

Every function is pure. On a body that the API accepted none of them raises; on any other they raise `Invalid`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ledger.dialects import cut, value_of
from ledger.errors import Invalid
from ledger.instants import epoch_ms

Fields = Mapping[str, msgspec.Raw]

PAYLOADS = ("reqPayload", "respPayload")
SMALL_FIELDS = ("requestedAt", "receivedAt", "statusCode", "errorMessage", "tags", "metadata")
KNOWN_KEYS = frozenset((*PAYLOADS, *SMALL_FIELDS))

STATUS_CODES = range(-(2**31), 2**31)
"""What the store's column holds; a status beyond it is unknown."""

_NUMERIC_TEXT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_$.]")


class NotANumber(Invalid):
    """The value is neither a number nor numeric text."""


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The report's values as raw slices; an empty body is an empty report. Raises `Unreadable` or `NotAnObject`."""
    return cut(body) if body else {}


def number_of(value: Any) -> float | None:
    """The number of a number or of numeric text; None for null and blank text. Raises `NotANumber`."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        raise NotANumber
    text = value.strip()
    if not text:
        return None
    if not _NUMERIC_TEXT.fullmatch(text):
        raise NotANumber
    return float(text)


def requested_at_ms(fields: Fields) -> int | None:
    """When the call was made, in milliseconds since 1970; None when not told or not storable."""
    return epoch_ms(number_of(value_of(fields.get("requestedAt"))))


def received_at_ms(fields: Fields) -> int | None:
    """When the reply had come, in milliseconds since 1970; None when not told or not storable."""
    return epoch_ms(number_of(value_of(fields.get("receivedAt"))))


def status_code(fields: Fields) -> int | None:
    """The provider's HTTP status; None when not told."""
    return status_of(value_of(fields.get("statusCode")))


def status_of(value: Any) -> int | None:
    """The whole number of a status; None when absent, broken or beyond the column. Raises `NotANumber`."""
    number = number_of(value)
    if number is None or not STATUS_CODES.start <= number < STATUS_CODES.stop:
        return None
    return int(number) if number == int(number) else None


def tags_of(fields: Fields) -> dict[str, str]:
    """The report's `tags` with its `metadata` on top, as texts by name."""
    return text_map(value_of(fields.get("tags"))) | text_map(value_of(fields.get("metadata")))


def text_map(value: Any) -> dict[str, str]:
    """An object's values as texts under names as they are stored, without null and ""; empty for anything else."""
    if not isinstance(value, dict):
        return {}
    texts = {tag_name(name): metadata_text(item) for name, item in value.items()}
    return {name: text for name, text in texts.items() if text}


def tag_name(name: str) -> str:
    """The name as it is stored and filtered by: every character outside of A-Z a-z 0-9 _ $ . becomes _."""
    if name.isascii() and name.isidentifier():  # most are, and the regular expression takes longer to say so
        return name
    return _NOT_IN_A_NAME.sub("_", name)


def metadata_text(value: Any) -> str | None:
    """A metadata value as text: JSON's own for objects and arrays, JavaScript's for the rest; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    return msgspec.json.encode(value).decode()


def number_text(number: float) -> str:
    """A number as JavaScript writes it, except that whole numbers beyond 2**53 keep all their digits."""
    if isinstance(number, int):
        return str(number)
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:
        plain = format(Decimal(repr(number)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    digits, exponent = repr(number).split("e")
    return f"{digits}e{int(exponent):+d}"
