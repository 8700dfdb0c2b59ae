"""One commit for all that wait: while one is under way the next one fills. One future per call, no lingering.

Every call gets exactly one answer: the results of its items, or the error that says what is known of them. A commit
that fails fails its own calls and nothing else; the queue lives on.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from ledger.errors import BusUnavailable, LedgerError

NOT_HANDED_OVER = "Not handed over, retry."  # the items are surely not on the bus
NOT_CONFIRMED = "Not confirmed, retry."  # the items may be on the bus, now or later

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Held:
    """The bytes of all items whose fate is unknown, also of those whose senders were answered already.

    A call that is cancelled while it waits holds its bytes until its turn, or its deadline, comes.
    """

    bytes: int = 0


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Result]):
    """The items of one call; they are committed together."""

    items: Sequence[Item]
    size: int
    due: float
    answer: asyncio.Future[Sequence[Result]]

    def succeed(self, results: Sequence[Result]) -> None:
        if not self.answer.done():  # otherwise its deadline has passed or its sender went away
            self.answer.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(_own(error))


class GroupCommit(Generic[Item, Result]):
    """Hands the items of many calls to `commit` at once, and gives each call its own results, or the group's error.

    A call that is still waiting at its deadline leaves the queue: it was surely not committed. One that was handed
    over already may yet be committed; its sender is told that this is not known.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_bytes: int,
        deadline: float,
        held: Held | None = None,
    ) -> None:
        """`held`: what several queues count into together, for whoever bounds it."""
        self._commit = commit
        self._max_bytes = max_bytes  # of a group; a call that is larger is a group of its own
        self._deadline = deadline
        self._held = held or Held()
        self._waiting: deque[_Call[Item, Result]] = deque()  # the oldest first
        self._in_flight: list[_Call[Item, Result]] = []
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # one for all: at the deadline of the oldest call
        self._aborted = False

    def submit(self, items: Sequence[Item], size: int) -> asyncio.Future[Sequence[Result]]:
        """The results of these items, which have `size` bytes together, behind all that were submitted before.

        Fails with what `commit` raised for its group, or with `BusUnavailable` at the deadline. Whoever cancels it
        takes the items along, unless they were handed over. After `abort` nothing is taken.
        """
        loop = asyncio.get_running_loop()
        call: _Call[Item, Result] = _Call(items, size, loop.time() + self._deadline, loop.create_future())
        if self._aborted:
            call.fail(BusUnavailable(NOT_HANDED_OVER))
            return call.answer
        self._waiting.append(call)
        self._held.bytes += size
        if self._running is None or self._running.done():  # one that was ended before it began has not said so
            self._running = loop.create_task(self._run())
        if self._timer is None:
            self._timer = loop.call_at(call.due, self._expire)
        return call.answer

    async def until_idle(self) -> None:
        """Return once nothing waits and nothing is in flight."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])

    async def abort(self) -> None:
        """End what is in flight, tell whoever has no answer yet what is known, and take nothing any more.

        May be called again, also after an earlier call was cancelled.
        """
        self._aborted = True
        self._refuse_waiting()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._in_flight = self._next_group()
                if self._in_flight:
                    await self._commit_in_flight()
        finally:
            self._running = None
            self._refuse_waiting()  # there are none, unless this was cancelled

    async def _commit_in_flight(self) -> None:
        group = self._in_flight
        items = [item for call in group for item in call.items]
        try:
            results = await self._commit(items)
            if len(results) != len(items):
                raise ValueError(f"A commit of {len(items)} items gave {len(results)} results.")
        except Exception as error:  # noqa: BLE001 (whatever it was, it is these calls' answer, and the queue lives on)
            for call in group:
                call.fail(error)
        except BaseException:  # this was cancelled, or what it waited for: how far it came is not known
            for call in group:
                call.fail(BusUnavailable(NOT_CONFIRMED))
            raise
        else:
            end = 0
            for call in group:
                start, end = end, end + len(call.items)
                call.succeed(results[start:end])
        finally:
            self._release(group)
            self._in_flight = []

    def _next_group(self) -> list[_Call[Item, Result]]:
        group: list[_Call[Item, Result]] = []
        room = self._max_bytes
        while self._waiting and (not group or self._waiting[0].size <= room):
            call = self._waiting.popleft()
            if call.answer.done():  # its sender went away before it was handed over
                self._held.bytes -= call.size
            else:
                group.append(call)
                room -= call.size
        return group

    def _release(self, calls: Iterable[_Call[Item, Result]]) -> None:
        self._held.bytes -= sum([call.size for call in calls])

    def _refuse_waiting(self) -> None:
        for call in self._waiting:
            call.fail(BusUnavailable(NOT_HANDED_OVER))
        self._release(self._waiting)
        self._waiting.clear()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for call in self._in_flight:
            if call.due <= now:
                call.fail(BusUnavailable(NOT_CONFIRMED))
        while self._waiting and self._waiting[0].due <= now:
            call = self._waiting.popleft()
            call.fail(BusUnavailable(NOT_HANDED_OVER))
            self._held.bytes -= call.size
        unanswered = (call.due for call in chain(self._in_flight, self._waiting) if not call.answer.done())
        oldest = next(unanswered, None)
        self._timer = None if oldest is None else loop.call_at(oldest, self._expire)


def _own(error: Exception) -> Exception:
    """The same error for one call alone: the traceback of one that many raise would hold the bodies of all of them."""
    if not isinstance(error, LedgerError):
        return error
    own = type(error)(str(error))
    own.__cause__ = error.__cause__
    return own
