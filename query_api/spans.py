"""Stretches of time, newest first, in which a list is read: a day at first, then as much more as the page needs.

Every part of the store that a statement may touch costs time, whatever it holds. Key order is time order, so a list
that is read stretch by stretch is the same as one that is read at once, and costs what it finds, not what there is.
"""

from dataclasses import dataclass

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound

DAY_MS = 24 * 3600 * 1000
LEAST_GROWTH, MOST_GROWTH = 2, 32


@dataclass(frozen=True, slots=True)
class Span(Reach):
    """Whose logs, and created from when (milliseconds since 1970) until before when; None: without a bound."""

    created_from: int | None = None
    created_before: int | None = None

    def clause(self, bound: Bound) -> str:
        """The condition on a table of calls: within reach, kept, and within the span."""
        parts = [Reach.clause(self, bound)]
        if self.created_from is not None:
            parts.append(f"created_at >= {bound.time(self.created_from)}")
        if self.created_before is not None:
            parts.append(f"created_at < {bound.time(self.created_before)}")
        return " AND ".join(parts)

    def cut(self, length: int, now: int) -> "Span":
        """The newest part of so many milliseconds. What is stored as later than now is part of it."""
        newest = now if self.created_before is None else min(self.created_before, now)
        start = max(0, newest - length)
        if self.created_from is not None and start <= self.created_from:
            return self
        return Span(self.project, self.retained, start or None, self.created_before)

    def before(self, newer: "Span") -> "Span | None":
        """What is left of this span before a newer part of it; None where nothing is."""
        if newer.created_from is None or newer.created_from == self.created_from:
            return None
        return Span(self.project, self.retained, self.created_from, newer.created_from)


def span(reach: Reach, created_from: int | None, created_before: int | None) -> Span:
    """The reach, between two instants."""
    return Span(reach.project, reach.retained, created_from, created_before)


def next_length(length: int, found: int, wanted: int) -> int:
    """How much further back to look, when a stretch of this length held `found` rows and `wanted` more are."""
    growth = 2 * wanted // found if found else MOST_GROWTH
    return length * max(LEAST_GROWTH, min(MOST_GROWTH, growth))
