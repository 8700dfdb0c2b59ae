"""CSV and NDJSON: the values as our own list and the single call show them.

A CSV cell is never run as a formula: a text that a spreadsheet would take for one gets an apostrophe in front.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from query_api import cursors, views
from query_api.export.columns import CURSOR, Item, Kind, bodies_among, kind_of

_LOOKS_LIKE_A_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
"""Apostrophes before it count as well: so taking one away from every such cell gives exactly what was logged."""

_LINE_ENDS = {ord("\n"): " ", ord("\r"): " "}


class Csv:
    """RFC 4180 in UTF-8 with a line of names. Unknown is an empty cell; metadata, media and extra are JSON text."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._is_text = [kind_of(name) in {Kind.TEXT, Kind.JSON, Kind.LABELS} for name in names]
        self._shown = _Shown(names)

    def begin(self) -> bytes:
        """The names of the columns."""
        return _lines([self._names])

    def page(self, items: Sequence[Item]) -> bytes:
        """A line for each row."""
        return _lines(self._cells(self._shown.values(item)) for item in items)

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _cells(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            safe(_text(values[name])) if is_text else _text(values[name])
            for name, is_text in zip(self._names, self._is_text, strict=True)
        ]


class Ndjson:
    """A JSON object per line: the row of our own list, or with its bodies the single call."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._shown = _Shown(names)
        self._encoder = msgspec.json.Encoder()

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def page(self, items: Sequence[Item]) -> bytes:
        """A line for each row."""
        return self._encoder.encode_lines([self._line(self._shown.values(item)) for item in items])

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _line(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: _on_one_line(values[name]) for name in self._names}


class _Shown:
    """The values of a row by the names of columns, as the API shows them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._with_bodies = bool(bodies_among(names))
        self._with_cursor = CURSOR in names

    def values(self, item: Item) -> Mapping[str, Any]:
        """At least the columns that were asked for."""
        values = msgspec.structs.asdict(views.row(item.log))
        if self._with_bodies:
            values |= msgspec.structs.asdict(views.entry(item.log, item.bodies))
        if self._with_cursor:
            values[CURSOR] = cursors.encode(item.log.key)
        return values


def safe(text: str) -> str:
    """The text with an apostrophe in front where a spreadsheet might take it for a formula."""
    return f"'{text}" if _LOOKS_LIKE_A_FORMULA.match(text) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return msgspec.json.encode(value).decode()


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:  # one by one: while many are written at once no other thread has its turn
        writer.writerow(row)
    return text.getvalue().encode()


def _on_one_line(value: Any) -> Any:
    """Logged JSON is handed through as it stands, and may stand on several lines; only between its tokens, though."""
    if isinstance(value, msgspec.Raw):
        return msgspec.Raw(bytes(value).decode().translate(_LINE_ENDS).encode())
    return value
