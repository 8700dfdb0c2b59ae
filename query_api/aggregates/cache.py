"""Aggregates that were computed, bounded in memory: what was not used for longest goes first."""

from collections import OrderedDict
from dataclasses import dataclass

from query_api.aggregates.partials import Partial
from query_api.aggregates.spans import Period


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How much may be kept."""

    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Name:
    """An aggregate of a unit: of which question, and made from which parts."""

    question: str
    unit: Period
    made_from: bytes


class AggregateCache:
    """Names → aggregates. Of one question and unit only the latest is kept. For one thread: that of the event loop."""

    def __init__(self, limits: CacheLimits | None = None) -> None:
        self._most = (limits or CacheLimits()).max_bytes
        self._kept: OrderedDict[tuple[str, Period], tuple[bytes, Partial, int]] = OrderedDict()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """About what all of it takes."""
        return self._bytes

    def get(self, name: Name) -> Partial | None:
        """The aggregate made from exactly these parts."""
        found = self._kept.get((name.question, name.unit))
        if found is None or found[0] != name.made_from:
            return None
        self._kept.move_to_end((name.question, name.unit))
        return found[1]

    def put(self, name: Name, partial: Partial) -> None:
        """Keep it; one that alone is larger than the bound is not kept."""
        self._drop((name.question, name.unit))
        size = partial.nbytes + 4 * len(name.question) + 500
        if size > self._most:
            return
        self._kept[name.question, name.unit] = (name.made_from, partial, size)
        self._bytes += size
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, place: tuple[str, Period]) -> None:
        if found := self._kept.pop(place, None):
            self._bytes -= found[2]
