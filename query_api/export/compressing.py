"""A form, compressed on its way. Every page is flushed, so that a broken download still ends with a whole row."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from query_api.export.columns import Item
from query_api.export.forms import Form

_FASTEST = 1
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(slots=True)
class Gzipped:
    """The same bytes in gzip."""

    form: Form
    _gzip: Any = field(default_factory=lambda: zlib.compressobj(_FASTEST, wbits=_GZIP), init=False)

    def begin(self) -> bytes:
        """What stands before the first row."""
        return self._pressed(self.form.begin())

    def page(self, items: Sequence[Item]) -> bytes:
        """These rows."""
        return self._pressed(self.form.page(items))

    def end(self) -> bytes:
        """What is left, and gzip's own end with its check."""
        return self._pressed(self.form.end()) + bytes(self._gzip.flush(zlib.Z_FINISH))

    def _pressed(self, data: bytes) -> bytes:
        return self._gzip.compress(data) + bytes(self._gzip.flush(zlib.Z_SYNC_FLUSH)) if data else b""


def accepts_gzip(header: str) -> bool:
    """Whether an `Accept-Encoding` asks for gzip and does not weigh it with nothing."""
    for offer in header.lower().split(","):
        name, _, weight = offer.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
