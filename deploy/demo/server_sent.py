"""Server-sent events as providers write them, and the pieces in which they send a text."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_PIECE_CHARACTERS = 12


def pieces_of(text: str) -> list[str]:
    """The text cut as a model would send it."""
    return [text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS)]


def data_only(events: Iterable[Mapping[str, Any]]) -> str:
    """Events without names."""
    return "".join(f"data: {_json(event)}\n\n" for event in events)


def named(events: Iterable[Mapping[str, Any]]) -> str:
    """Events that are named by their type."""
    return "".join(f"event: {event['type']}\ndata: {_json(event)}\n\n" for event in events)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
