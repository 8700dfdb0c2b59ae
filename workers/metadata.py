"""Metadata as text → text: the one form in which values of every kind can be filtered and shown."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

Pairs = tuple[tuple[str, str], ...]


def as_text(value: Any) -> str | None:
    """A JSON value as text: numbers as JavaScript prints them, booleans as words, the rest as JSON; None for null."""
    match value:
        case None:
            return None
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return javascript_number(value)
        case _:
            return msgspec.json.encode(value).decode()


def javascript_number(value: float) -> str:
    """The shortest text of a double, in the notation that ECMAScript's Number::toString chooses."""
    if value == math.floor(value) and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(repr(value)):f}"
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def merged(*layers: Mapping[str, Any]) -> Pairs:
    """Later layers win; null and empty values are left out. In the order in which the names first came."""
    texts: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            text = as_text(value)
            if text:
                texts[name] = text
    return tuple(texts.items())


def first_of(metadata: Pairs, *names: str) -> str | None:
    """The value of the first of these names that there is."""
    values = dict(metadata)
    return next((values[name] for name in names if values.get(name)), None)
