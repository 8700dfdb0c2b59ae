"""Whose statement is next. Every project has a lane, so that a slow one keeps only those of its own project waiting.

Who has the fewest statements running comes first; among equals the lanes take turns. One lane never has all the slots
(where there is more than one), so that there is always one that comes free soon for somebody else.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from query_api.errors import TooBusy


@dataclass(slots=True)
class _Lane:
    running: int = 0
    waiting: deque["asyncio.Future[None]"] = field(default_factory=deque)


class Lanes:
    """So many slots, shared out among lanes that come and go. For one event loop at a time."""

    def __init__(self, slots: int, most_waiting: int) -> None:
        self._free = slots
        self._most_running = max(1, slots - 1)
        self._most_waiting = most_waiting
        self._lanes: dict[Hashable, _Lane] = {}  # whoever had a turn goes to the end

    @asynccontextmanager
    async def slot(self, name: Hashable) -> AsyncIterator[None]:
        """Hold a slot once it is this lane's turn. Raises `TooBusy` when too many of the lane are waiting already."""
        await self._turn(name)
        try:
            yield
        finally:
            self._lanes[name].running -= 1
            self._free += 1
            self._settle(name)

    async def _turn(self, name: Hashable) -> None:
        lane = self._lanes.setdefault(name, _Lane())
        if len(lane.waiting) >= self._most_waiting:
            raise TooBusy
        turn = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        self._start()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the slot in the same moment
                lane.running -= 1
                self._free += 1
            elif turn in lane.waiting:
                lane.waiting.remove(turn)
            self._settle(name)
            raise

    def _settle(self, name: Hashable) -> None:
        """Somebody has gone: forget the lane if it is empty, and let the next ones in."""
        lane = self._lanes.get(name)
        if lane is not None and not lane.running and not lane.waiting:
            del self._lanes[name]
        self._start()

    def _start(self) -> None:
        while self._free and (name := self._next()) is not None:
            turn = self._lanes[name].waiting.popleft()
            if not turn.cancelled():  # whoever left before its turn
                lane = self._lanes[name] = self._lanes.pop(name)
                lane.running += 1
                self._free -= 1
                turn.set_result(None)

    def _next(self) -> Hashable | None:
        candidates = [
            (lane.running, place, name)
            for place, (name, lane) in enumerate(self._lanes.items())
            if lane.waiting and lane.running < self._most_running
        ]
        return min(candidates)[2] if candidates else None
