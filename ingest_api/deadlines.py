"""How long tasks may wait, under one timer for all of them.

It means what `asyncio.timeout` means, which costs 3 us a request for bodies that are nearly always there already.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """The deadlines of one service. The timer is set for the earliest one that there was when it was set."""

    def __init__(self) -> None:
        self._waiting: set[Deadline] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> "Deadline":
        """A `with` that raises `TimeoutError` when the task still waits inside of it then."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the timer of a loop that has ended never fires
            self._loop, self._timer = loop, None
            self._waiting.clear()
        return Deadline(self, loop.time(), seconds)

    def begin(self, deadline: "Deadline") -> None:
        """Watch it."""
        self._waiting.add(deadline)
        if self._timer is None or deadline.at < self._timer.when():
            self._set(deadline.at)

    def end(self, deadline: "Deadline") -> None:
        """Watch it no longer."""
        self._waiting.discard(deadline)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for deadline in [each for each in self._waiting if each.at <= now]:
            self.end(deadline)
            deadline.has_come()
        if self._waiting:
            self._set(min(deadline.at for deadline in self._waiting))


class Deadline:
    """One of them, of the task that enters it."""

    __slots__ = ("_all", "_began", "_cancelling", "_late", "_task", "at")

    def __init__(self, deadlines: Deadlines, began: float, seconds: float) -> None:
        self._all = deadlines
        self._began = began
        self._late = False
        self.at = began + seconds  # on the loop's clock

    def put_off(self, seconds: float) -> None:
        """Let it be so many seconds after the beginning: not before what it was."""
        self.at = max(self.at, self._began + seconds)

    def has_come(self) -> None:
        """Wake the task."""
        self._late = True
        self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Only a task can have a deadline.")
        self._task, self._cancelling = task, task.cancelling()
        self._all.begin(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._all.end(self)
        if self._late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
