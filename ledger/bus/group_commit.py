"""One commit for all that wait: while one is under way the next one fills. One future per item, no lingering."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ledger.errors import BusUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

_Waiting = tuple[Item, asyncio.Future[Result]]


class GroupCommit(Generic[Item, Result]):
    """Hands items to `commit` in groups and gives each its own result, or the group's error.

    An item that is still waiting at its deadline leaves the queue: it was surely not committed. One that was handed
    over already may yet be committed; its sender is told that this is not known.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        size: Callable[[Item], int],
        max_bytes: int,
        deadline: float,
    ) -> None:
        self._commit = commit
        self._size = size
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The item's result. Raises what `commit` raised for its group, or `BusUnavailable` at the deadline."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        entry = (item, future)
        self._waiting.append(entry)
        if self._running is None:
            self._running = loop.create_task(self._run())
        timer = loop.call_later(self._deadline, self._expire, entry)
        try:
            return await future
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Wait until nothing waits any more."""
        while self._running is not None:
            await asyncio.wait([self._running])

    def _expire(self, entry: _Waiting[Item, Result]) -> None:
        if entry[1].done():
            return
        try:
            self._waiting.remove(entry)
            entry[1].set_exception(BusUnavailable("Not handed over, retry."))
        except ValueError:
            entry[1].set_exception(BusUnavailable("Not confirmed, retry."))

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._commit_one_group(self._next_group())
        finally:
            self._running = None

    async def _commit_one_group(self, group: list[_Waiting[Item, Result]]) -> None:
        if not group:
            return
        try:
            results = await self._commit([item for item, _ in group])
            answers = list(zip(group, results, strict=True))
        except Exception as error:  # noqa: BLE001  whatever it was, it is these items' answer, and the queue lives on
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in answers:
            if not future.done():
                future.set_result(result)

    def _next_group(self) -> list[_Waiting[Item, Result]]:
        group: list[_Waiting[Item, Result]] = []
        total = 0
        while self._waiting and (not group or total + self._size(self._waiting[0][0]) <= self._max_bytes):
            entry = self._waiting.popleft()
            if not entry[1].done():  # its sender went away before it was handed over
                total += self._size(entry[0])
                group.append(entry)
        return group
