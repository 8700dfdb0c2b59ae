"""Where the items of a batch begin and end: NDJSON or a JSON array, cut without building anything of what is in them.

No body makes it find more than one item too many: the rest of a longer batch is not looked at.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ledger.errors import Invalid, TooDeep, TooLarge
from ledger.json_text import readable

NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
"""Whoever names one of these sends lines, whatever they begin with."""

_BOM = b"\xef\xbb\xbf"
_BLANKS = re.compile(rb"[ \t\r\n]*")
_COMMAS_AND_BLANKS = re.compile(rb"[ \t\r\n,]*")
_PIECE_BYTES = 256 * 1024  # so much of a gap is looked at in one go: a search does not let other threads get on

_AT_AN_ESCAPE = ("surrogate", "escape", "truncated")
"""Words of the decoder when it stops at half a character; the last one when it looked for the other behind the end."""


class NoBatch(Invalid):
    """The body is no batch: send one JSON object per line, or a JSON array."""


class TooManyItems(TooLarge):
    """The batch has too many items."""


class Framer:
    """Cuts batches of at most so many items."""

    def __init__(self, most: int) -> None:
        slot = msgspec.Raw | msgspec.UnsetType
        # A list would be built to its end before anybody could count it; an array-like struct refuses one too many.
        names = [(f"item{number}", slot, msgspec.UNSET) for number in range(most)]
        elements = msgspec.defstruct("Elements", names, array_like=True, forbid_unknown_fields=True)
        self._elements = msgspec.json.Decoder(elements)
        self.most = most

    def items(self, body: bytes, *, as_lines: bool, count: Callable[[int], None]) -> Iterator[memoryview]:
        """The bytes of each item in their order, be a line JSON or not. Raises `Invalid` for a body that is no batch.

        `as_lines`: it is known to be NDJSON. Else its first character tells, whatever it was called.
        `count` is told of the bytes of a copy before it is made, and may refuse by raising.
        """
        if body.startswith(_BOM):
            count(len(body))
            body = body.removeprefix(_BOM)
        spans = self._spans(body, count, as_lines=as_lines)
        view = memoryview(body)
        return (view[start:end] for start, end in spans)

    def _spans(self, body: bytes, count: Callable[[int], None], *, as_lines: bool) -> list[tuple[int, int]]:
        start = _after(_BLANKS, body, 0)
        first = body[start : start + 1]
        if not first:
            return []
        if as_lines or first == b"{":
            return self._lines_of(body, start)
        if first == b"[":
            return self._elements_of(body, start + 1, count)
        raise NoBatch

    def _lines_of(self, body: bytes, start: int) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        while start < len(body):
            if len(spans) == self.most:
                raise self._too_many()
            end = body.find(b"\n", start)
            if end < 0:
                end = len(body)
            spans.append((start, end))
            start = _after(_BLANKS, body, end)
        return spans

    def _elements_of(self, body: bytes, start: int, count: Callable[[int], None]) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for element in self._cut(body, count):
            if element is msgspec.UNSET:
                break
            start = _after(_COMMAS_AND_BLANKS, body, start)
            end = start + memoryview(element).nbytes
            spans.append((start, end))
            start = end
        return spans

    def _cut(self, body: bytes, count: Callable[[int], None]) -> tuple[Any, ...]:
        """The array's elements, whose lengths are those in the body, as it came or made readable."""
        try:
            return msgspec.structs.astuple(self._elements.decode(body))
        except RecursionError:
            raise TooDeep from None
        except msgspec.ValidationError:
            raise self._too_many() from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        if any(word in problem for word in _AT_AN_ESCAPE):
            count(len(body))
            text = readable(body)
            if text != body:
                return self._cut(text, count)
        raise NoBatch(f"The JSON array cannot be read: {problem}.")

    def _too_many(self) -> TooManyItems:
        return TooManyItems(f"The batch has more than {self.most} items.")


def _after(gap: re.Pattern[bytes], body: bytes, start: int) -> int:
    """Where the gap that begins there ends; it may be empty."""
    while True:
        limit = start + _PIECE_BYTES
        found = gap.match(body, start, limit)
        start = found.end() if found else start
        if start < limit:
            return start
