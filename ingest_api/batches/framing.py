"""Where the items of a batch begin and end: NDJSON or a JSON array, cut without building anything of what is in them.

No body makes it build more than one item too many: the rest of a longer batch is skipped, or not looked at.
"""

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from ledger.errors import Invalid, TooDeep, TooLarge
from ledger.json_text import readable

NDJSON = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
"""Whoever names one of these sends lines, whatever they begin with."""

_BOM = b"\xef\xbb\xbf"
_FIRST = re.compile(rb"[^ \t\r\n]")
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # of blank lines there is nothing to find
_BETWEEN = re.compile(rb"[ \t\r\n,]*")


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

    def items(self, body: bytes, *, as_lines: bool) -> Iterator[bytes]:
        """The bytes of each item, in order; of a line that is no JSON too. Raises `Invalid` for a body that is no batch.

        `as_lines`: it is known to be NDJSON. Else its first character tells, whatever it was called.
        """
        body = body.removeprefix(_BOM)
        first = _FIRST.search(body)
        if first is None:
            return iter(())
        if as_lines or first.group() == b"{":
            spans = [line.span() for line in islice(_LINE.finditer(body), self.most + 1)]
        elif first.group() == b"[":
            spans = self._elements_of(body, first.end())
        else:
            raise NoBatch
        if len(spans) > self.most:
            raise TooManyItems(f"The batch has more than {self.most} items.")
        return (body[start:end] for start, end in spans)

    def _elements_of(self, body: bytes, start: int) -> list[tuple[int, int]]:
        """Where the array's elements are. They are found in the body as it came, not in the text made readable."""
        try:
            elements = msgspec.structs.astuple(self._elements.decode(readable(body)))
        except RecursionError:
            raise TooDeep from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoBatch(f"The JSON array cannot be read: {error}.") from None
        spans = []
        for element in elements:
            if element is msgspec.UNSET:
                break
            start = _end_of_gap(body, start)
            spans.append((start, start + memoryview(element).nbytes))
            start = spans[-1][1]
        return spans


def _end_of_gap(body: bytes, start: int) -> int:
    gap = _BETWEEN.match(body, start)
    return gap.end() if gap else start
