"""Work that is under way, by the names of what it will bring: who wants one of them waits for it.

Work ends early when nobody waits for it any more.
"""

import asyncio
from collections.abc import Coroutine, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

N = TypeVar("N", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Flight(Generic[N, T]):
    """One piece of work."""

    names: frozenset[N]
    task: "asyncio.Task[T]"
    waiting: int = field(default=0, init=False)


class Flights(Generic[N, T]):
    """All work under way in one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[N, Flight[N, T]] = {}

    def find(self, name: N) -> Flight[N, T] | None:
        """The work that will bring this."""
        return self._under_way.get(name)

    def join(self, name: N) -> Flight[N, T] | None:
        """The same, and from now on somebody waits for it: until `leave`, which must follow."""
        flight = self._under_way.get(name)
        if flight is not None:
            flight.waiting += 1
        return flight

    def leave(self, flight: Flight[N, T]) -> None:
        """Wait no longer. What nobody else waits for ends."""
        flight.waiting -= 1
        if not flight.waiting and not flight.task.done():
            self._forget(flight)
            flight.task.cancel()

    def start(self, names: Iterable[N], work: Coroutine[Any, Any, T]) -> Flight[N, T]:
        """Begin work that nobody else has under way."""
        flight = Flight(frozenset(names), asyncio.create_task(work))
        self._under_way |= dict.fromkeys(flight.names, flight)
        flight.task.add_done_callback(lambda task: self._is_over(flight, task))
        return flight

    async def landed(self, flight: Flight[N, T]) -> T:
        """What it brings, or the error it ended with."""
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            self.leave(flight)

    def _is_over(self, flight: Flight[N, T], task: "asyncio.Task[T]") -> None:
        self._forget(flight)
        if not task.cancelled():
            task.exception()  # whoever waited for it may be gone

    def _forget(self, flight: Flight[N, T]) -> None:
        for name in flight.names:
            if self._under_way.get(name) is flight:
                del self._under_way[name]
