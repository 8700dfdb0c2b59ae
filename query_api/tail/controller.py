"""`GET /api/v1/requests/tail`."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from litestar import Controller, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from query_api.auth import Doorkeeper
from query_api.conditions import where
from query_api.errors import AnyRequest
from query_api.openapi import LIST_ERRORS, SECURITY
from query_api.parameters import given
from query_api.reach_again import reach_again
from query_api.reading import Reader
from query_api.settings import TailCaps
from query_api.tail.asking import TailOperation, asked
from query_api.tail.following import Following, Parts, Write
from query_api.tail.seats import Seats
from query_api.tail.settled import Settlements
from query_api.tail.streaming import EventStream
from query_api.tail.windows import Windows


@dataclass(slots=True)
class Tails:
    """All tails of a process. The reader is for what they share; each stream reads with its own."""

    reader: Reader
    door: Doorkeeper
    caps: TailCaps
    clock: Clock
    seats: Seats = field(init=False)
    _parts: Parts = field(init=False)
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.seats = Seats(self.caps.of_project, self.caps.in_all)
        self._parts = Parts(Settlements(self.reader, self.caps.look_seconds), self.caps, self.clock)
        self._turns = asyncio.Semaphore(self.caps.statements)

    async def open(self, request: AnyRequest, reach: Reach, reader: Reader, stopping: asyncio.Event) -> EventStream:
        """The stream that is asked for. What can be refused is refused before it begins."""
        wanted = asked(given(request.scope["query_string"]), request.headers.get("last-event-id"), self.clock)
        where(wanted.conditions, reach, Bound())
        settled = await self._parts.settlements.look()
        self.seats.require(reach.project)
        windows, reach_now = Windows(reader, self._turns), partial(reach_again, self.door, request, reach)

        async def run(write: Write) -> None:
            await Following(self._parts, wanted, windows, reach, reach_now, write).run(settled)

        return EventStream(run, self.seats.taken(reach.project), stopping)


class TailController(Controller):
    """The live tail."""

    path = "/api/v1/requests/tail"

    @get(
        operation_class=TailOperation,
        security=SECURITY,
        responses=dict(LIST_ERRORS),
        summary="Follow calls as they become readable",
    )
    async def tail(
        self,
        request: AnyRequest,
        state: State,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        tails: NamedDependency[SkipValidation[Tails]],
    ) -> EventStream:
        """Server-sent events: each call that becomes readable or changes, until the reader goes.

        An event's id says how far everything was seen: with it as `Last-Event-ID` a stream goes on where another
        ended. Of more rows a second than `rate` the newest are sent, and `skipped` says how many were not.
        """
        return await tails.open(request, reach, reader, state.stopping)
