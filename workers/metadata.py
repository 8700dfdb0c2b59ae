"""Metadata as text → text: the one form in which values of every kind can be filtered and shown."""

from collections.abc import Mapping
from typing import Any

from ledger.dialects.openpipe import metadata_text

Pairs = tuple[tuple[str, str], ...]


def merged(*layers: Mapping[str, Any]) -> Pairs:
    """Later layers win; null and empty values are left out. In the order in which the names first came."""
    texts: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            text = metadata_text(value)
            if text:
                texts[name] = text
    return tuple(texts.items())


def first_of(metadata: Mapping[str, str], *names: str) -> str | None:
    """The value of the first of these names that there is."""
    for name in names:
        if value := metadata.get(name):
            return value
    return None
