"""Log lines for what may happen thousands of times a second: one line, and the count of all that it stands for."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

LINE_EVERY_SECONDS = 1.0

_Kind = tuple[str, tuple[tuple[str, str | int], ...]]


@dataclass(slots=True)
class CountedLog:
    """Warnings of a few kinds. The first of a kind is written at once; what follows within a second, in one line.

    Used from within an event loop, which writes that line when the second is over. Each line tells its `count`.
    """

    log: logging.Logger
    seconds: float = LINE_EVERY_SECONDS
    _waiting: dict[_Kind, int] = field(default_factory=dict, init=False)

    def warning(self, sentence: str, fields: Mapping[str, str | int]) -> None:
        """One more of this kind. The fields are part of the kind, so they come from a small set of values."""
        kind = (sentence, tuple(fields.items()))
        if kind in self._waiting:
            self._waiting[kind] += 1
        else:
            self._write(kind, 1)

    def _write(self, kind: _Kind, count: int) -> None:
        self._waiting[kind] = 0
        asyncio.get_running_loop().call_later(self.seconds, self._second_is_over, kind)
        self.log.warning(kind[0], extra={**dict(kind[1]), "count": count})

    def _second_is_over(self, kind: _Kind) -> None:
        if count := self._waiting.pop(kind):
            self._write(kind, count)
