"""From when on calls are kept: the condition that every read of calls carries, and that deletion for age negates.

What is hidden and what is deleted can so never be two things.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ledger.errors import Unavailable
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId

Since = Callable[[int], str]
"""From an instant, in milliseconds since 1970, to the condition that a row is not older than it."""


@dataclass(frozen=True, slots=True)
class Retained:
    """The first instant, in milliseconds since 1970, of which calls are kept. None: all of them.

    Every question raises `Unavailable` where that is not `known`.
    """

    others: int | None = None  # of every project that is not named
    of: tuple[tuple[ProjectId, int | None], ...] = ()
    known: bool = True

    @classmethod
    def by(cls, others: int | None, of: Mapping[ProjectId, int | None]) -> "Retained":
        """In the one form that this has: projects by name, and only those that differ from the others."""
        return cls(others, tuple(sorted((name, since) for name, since in of.items() if since != others)))

    def earliest(self, project: ProjectId) -> int | None:
        """The first instant of this project's calls."""
        self._require()
        return dict(self.of).get(project, self.others)

    def of_all(self) -> int | None:
        """The first instant of every project's calls, where it is the same for all of them."""
        self._require()
        return None if self.of else self.others

    def laxer(self, other: "Retained") -> "Retained":
        """What only one of them keeps is kept too."""
        names = {name for name, _ in (*self.of, *other.of)}
        of = {name: _earlier(self.earliest(name), other.earliest(name)) for name in names}
        return Retained.by(_earlier(self.others, other.others), of)

    def no_later_than(self, ms: int) -> "Retained":
        """The same, but everything from this instant on is kept besides."""
        return Retained.by(_earlier(self.others, ms), {name: _earlier(since, ms) for name, since in self.of})

    def condition(self, bound: Bound, since: Since, *, project: ProjectId | None = None) -> str:
        """Whether a row is kept; `1` where all are. `project`: where it is known that the row is of this one."""
        if project is not None:
            earliest = self.earliest(project)
            return "1" if earliest is None else since(earliest)
        self._require()
        return " AND ".join(self._parts(bound, since)) or "1"

    def _require(self) -> None:
        if not self.known:
            raise Unavailable(NOT_KNOWN)

    def _parts(self, bound: Bound, since: Since) -> Iterator[str]:
        everywhere = self._everywhere()
        if everywhere is not None:
            yield since(everywhere)  # alone, so that the engine can leave out what is older altogether
        if self.others is not None and self.others != everywhere:
            named = bound.value([name for name, _ in self.of], "Array(String)")
            yield f"(project IN {named} OR {since(self.others)})"
        for ms, names in self._by_instant().items():
            if ms != everywhere:
                yield f"(project NOT IN {bound.value(names, 'Array(String)')} OR {since(ms)})"

    def _everywhere(self) -> int | None:
        """The instant before which nothing of any project is kept."""
        all_of_them = [self.others, *(since for _, since in self.of)]
        known = [since for since in all_of_them if since is not None]
        return min(known) if len(known) == len(all_of_them) else None

    def _by_instant(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for name, since in self.of:
            if since is not None:
                found[since].append(name)
        return found


NOT_KNOWN = "How long calls are kept could not be looked up yet."

EVERYTHING = Retained()
UNKNOWN = Retained(known=False)
"""Nobody could say yet what is kept: whatever asks for it fails, since nothing may be shown that is not."""


def _earlier(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(one, other)
