"""How many tails may be open at the same time, per project and in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from query_api.errors import TooBusy


@dataclass(slots=True)
class Seats:
    """One for each tail. A key of all projects sits apart from those of a project."""

    of_project: int
    in_all: int
    _taken: Counter[str | None] = field(default_factory=Counter, init=False)

    def require(self, project: str | None) -> None:
        """Return if there is a free one. Raises `TooBusy`."""
        if self._taken[project] >= self.of_project or self._taken.total() >= self.in_all:
            raise TooBusy(
                f"There are {self.of_project} tails open in this project, or {self.in_all} in all: close one, or retry."
            )

    @contextmanager
    def taken(self, project: str | None) -> Iterator[None]:
        """Sit there for as long as this lasts."""
        self._taken[project] += 1
        try:
            yield
        finally:
            self._taken[project] -= 1

    @property
    def count(self) -> int:
        """How many are taken."""
        return self._taken.total()
