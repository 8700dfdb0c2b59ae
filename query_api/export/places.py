"""How many exports run at the same time: each holds a page in memory and keeps the store busy."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from litestar import Response

from ledger.errors import LedgerError
from ledger.ids import ProjectId
from query_api.errors import AnyRequest
from query_api.schemas import ErrorBody

RETRY_AFTER_SECONDS = 30


class TooManyExports(LedgerError):
    """Other exports are under way."""


@dataclass(slots=True)
class Places:
    """Of one process. A key of all projects counts as a project of its own."""

    per_project: int = 2
    in_all: int = 8
    _taken: Counter[ProjectId | None] = field(default_factory=Counter, init=False)

    @contextmanager
    def taken(self, project: ProjectId | None) -> Iterator[None]:
        """Hold a place. Raises `TooManyExports`."""
        if self._taken[project] >= self.per_project:
            raise TooManyExports(f"{self.per_project} exports of this project are under way: wait until one has ended.")
        if self._taken.total() >= self.in_all:
            raise TooManyExports(f"{self.in_all} exports are under way: wait until one has ended.")
        self._taken[project] += 1
        try:
            yield
        finally:
            self._taken[project] -= 1
            if not self._taken[project]:
                del self._taken[project]


def too_many_answer(_request: AnyRequest, error: TooManyExports) -> Response[ErrorBody]:
    """429, and when to come back."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(ErrorBody(error=str(error)), status_code=429, headers=headers)
