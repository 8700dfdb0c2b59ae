"""Read your own report: whether what stood at a position of the bus can be read by now, and waiting until it can.

Every accepting answer carries its position in `LLMLedger-Position`. Workers write down how far each partition is
settled, after everything up to there has become a row or a dead letter, so one small look answers for all positions.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from litestar import Controller, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import Parameter, SkipValidation

from ledger.bus import Position
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.keys import ALL_PROJECTS, Principal
from query_api.errors import BadParameter
from query_api.openapi import SECURITY, STATUS_ERRORS
from query_api.reading import Reader
from query_api.schemas import PositionStatus

LONGEST_WAIT_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.1

Settled = Mapping[tuple[int, int], int]


@dataclass(slots=True)
class Progress:
    """How far the partitions are settled: one look serves everybody who asks at about the same time."""

    reader: Reader
    now: Callable[[], float] = time.monotonic
    _settled: Settled = field(default_factory=dict, init=False)
    _looked_at: float = field(default=float("-inf"), init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def is_settled(self, position: Position) -> bool:
        """Whether everything up to this position is a row or a dead letter. It never becomes false again."""
        if self._covers(position):
            return True
        async with self._looking:
            if self.now() - self._looked_at >= LOOK_EVERY_SECONDS:
                looked_at = self.now()
                self._settled = await _settled(self.reader)  # its caller may leave meanwhile: then nobody has looked
                self._looked_at = looked_at
        return self._covers(position)

    async def settled_within(self, position: Position, seconds: float, stopping: asyncio.Event) -> bool:
        """The same, once it is so, the time is over, or the process is ending."""
        until = self.now() + seconds
        while not await self.is_settled(position):
            left = until - self.now()
            if left <= 0 or stopping.is_set():
                return False
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, left))
        return True

    def _covers(self, position: Position) -> bool:
        return self._settled.get((position.generation, position.partition), -1) >= position.offset


async def _settled(reader: Reader) -> Settled:
    rows = await reader.rows(Statement("SELECT generation, partition, offset FROM bus_progress FINAL", {}))
    return {(generation, partition): offset for generation, partition, offset in rows}


class StatusController(Controller):
    """`/api/v1/status`."""

    path = "/api/v1/status"

    @get(security=SECURITY, responses=dict(STATUS_ERRORS), summary="Whether an accepted report can be read by now")
    async def status(
        self,
        state: State,
        caller: NamedDependency[SkipValidation[Principal]],
        reader: NamedDependency[SkipValidation[Reader]],
        progress: NamedDependency[SkipValidation[Progress]],
        position: Annotated[str | None, Parameter(description="`LLMLedger-Position` of the accepting answer.")] = None,
        wait: Annotated[
            str | None, Parameter(description=f"Seconds to wait until it can be read, at most {LONGEST_WAIT_SECONDS}.")
        ] = None,
    ) -> PositionStatus:
        """`visible` once it counts in every list and total; `dead_letter` when it could not become a row."""
        place = Position.from_text(position or "")
        if position is None or place is None:
            raise BadParameter("position", "must read like 1-0-42, as in the header LLMLedger-Position")
        settled = await progress.settled_within(place, _seconds(wait), state.stopping)
        if not settled:
            return PositionStatus(position, "waiting")
        deaths = await reader.rows(_deaths_at(place, caller))
        if not deaths:
            return PositionStatus(position, "visible")
        replayed_to = await reader.rows(_replay_of(place, int(deaths[0][0])))
        if not replayed_to:
            return PositionStatus(position, "dead_letter")
        again = Position(*replayed_to[0])
        return PositionStatus(position, "visible" if await progress.is_settled(again) else "waiting")


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text) if text else 0.0
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= LONGEST_WAIT_SECONDS:
        raise BadParameter("wait", f"must be a number of seconds from 0 to {LONGEST_WAIT_SECONDS:g}")
    return seconds


def _deaths_at(place: Position, caller: Principal) -> Statement:
    """After how many replays it died last. Of the caller's own project: what others sent is none of its business."""
    bound = Bound()
    own = Reach(None if caller.project == ALL_PROJECTS else caller.project).owned(bound)
    return bound.statement(
        f"SELECT replays FROM dead_letters WHERE {_at(place, bound)} AND {own} ORDER BY replays DESC LIMIT 1"
    )


def _replay_of(place: Position, replays: int) -> Statement:
    """Where the copy is that was put on the bus after this death."""
    bound = Bound()
    return bound.statement(
        "SELECT to_generation, to_partition, to_offset FROM dead_letter_replays"
        f" WHERE {_at(place, bound)} AND replays = {bound.value(replays, 'UInt32')}"
        " ORDER BY replayed_at DESC LIMIT 1"
    )


def _at(place: Position, bound: Bound) -> str:
    return (
        f"generation = {bound.value(place.generation, 'UInt8')}"
        f" AND partition = {bound.value(place.partition, 'UInt16')}"
        f" AND offset = {bound.value(place.offset, 'UInt64')}"
    )
