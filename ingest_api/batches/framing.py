"""Where the items of a batch begin and end: NDJSON or a JSON array, cut without building anything of what is in them.

No body makes it build more than one item too many: the rest of a longer batch is skipped, or not looked at.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ledger.errors import Invalid, TooDeep, TooLarge
from ledger.json_text import readable

NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
"""Whoever names one of these sends lines, whatever they begin with."""

_BOM = b"\xef\xbb\xbf"
_BLANKS = re.compile(rb"[ \t\r\n]*")
_COMMAS_AND_BLANKS = re.compile(rb"[ \t\r\n,]*")


class NoBatch(Invalid):
    """The body is no batch: send one JSON object per line, or a JSON array."""


class TooManyItems(TooLarge):
    """The batch has too many items."""


class Framer:
    """Cuts batches of at most so many items."""

    def __init__(self, most: int) -> None:
        slot = msgspec.Raw | msgspec.UnsetType
        # A list would be built to its end before anybody could count it; of an array-like struct the rest is skipped.
        names = [(f"item{number}", slot, msgspec.UNSET) for number in range(most + 1)]
        self._elements = msgspec.json.Decoder(msgspec.defstruct("Elements", names, array_like=True))
        self.most = most

    def items(self, body: bytes, *, as_lines: bool) -> Iterator[memoryview]:
        """The bytes of each item in their order, be a line JSON or not. Raises `Invalid` for a body that is no batch.

        `as_lines`: it is known to be NDJSON. Else its first character tells, whatever it was called.
        """
        body = body.removeprefix(_BOM)
        spans = self._spans(body, as_lines=as_lines)
        if len(spans) > self.most:
            raise TooManyItems(f"The batch has more than {self.most} items.")
        view = memoryview(body)
        return (view[start:end] for start, end in spans)

    def _spans(self, body: bytes, *, as_lines: bool) -> list[tuple[int, int]]:
        start = _after(_BLANKS, body, 0)
        first = body[start : start + 1]
        if not first:
            return []
        if as_lines or first == b"{":
            return self._lines_of(body, start)
        if first == b"[":
            return self._elements_of(body, start + 1)
        raise NoBatch

    def _lines_of(self, body: bytes, start: int) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        while start < len(body) and len(spans) <= self.most:
            end = body.find(b"\n", start)
            if end < 0:
                end = len(body)
            spans.append((start, end))
            start = _after(_BLANKS, body, end)
        return spans

    def _elements_of(self, body: bytes, start: int) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for element in self._cut(body):
            if element is msgspec.UNSET:
                break
            start = _after(_COMMAS_AND_BLANKS, body, start)
            end = start + memoryview(element).nbytes
            spans.append((start, end))
            start = end
        return spans

    def _cut(self, body: bytes) -> tuple[Any, ...]:
        """The array's elements, whose lengths are those in the body, as it came or made readable."""
        try:
            return msgspec.structs.astuple(self._elements.decode(body))
        except RecursionError:
            raise TooDeep from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = readable(body)
            if text != body:
                return self._cut(text)
            raise NoBatch(f"The JSON array cannot be read: {error}.") from None


def _after(gap: re.Pattern[bytes], body: bytes, start: int) -> int:
    """Where the gap that begins there ends; it may be empty."""
    found = gap.match(body, start)
    return found.end() if found else start
