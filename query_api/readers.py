"""Who asks → its reader: one per request, in the lane of the caller's project."""

import asyncio
from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from ledger.keys import Principal
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool
from ledger.store.questions import Answer, Asking, Question
from query_api.fairness import Lanes
from query_api.reading import Reader

OWN_LANE = ""
"""The lane of what the service itself asks. No project is called so."""


class Readers:
    """Readers over one pool, whose threads are shared out among the projects."""

    def __init__(self, pool: ClickHousePool, caps: QueryCaps) -> None:
        self._caps = caps
        self._asking = Asking(pool)
        self._lanes = Lanes(pool.threads, caps.max_waiting)

    def of_caller(self, caller: NamedDependency[SkipValidation[Principal]]) -> Reader:
        """A reader for one request of theirs. A key of all projects has a lane of its own."""
        return self.of_project(caller.project)

    def of_project(self, project: str) -> Reader:
        """A reader for one answer in the lane of this project (`ALL_PROJECTS`: of the keys of all projects)."""
        return Reader(self._lane(project), self._caps, one_answer=True)

    def of_service(self) -> Reader:
        """A reader for what many requests share."""
        return Reader(self._lane(OWN_LANE), self._caps)

    def _lane(self, name: str | None) -> "Lane":
        return Lane(self._lanes, self._asking, name)


@dataclass(frozen=True, slots=True)
class Lane:
    """The store, as one project may use it."""

    lanes: Lanes
    asking: Asking
    name: str | None

    async def run(self, statement: Question) -> Answer:
        """The answer, when it is this lane's turn. Cancelled, it lets go at once, and of its slot with the thread."""
        at_work = asyncio.create_task(self._in_turn(statement))
        try:
            return await asyncio.shield(at_work)
        except asyncio.CancelledError:
            at_work.cancel()
            raise

    async def _in_turn(self, statement: Question) -> Answer:
        async with self.lanes.slot(self.name):
            return await self.asking.run(statement)
