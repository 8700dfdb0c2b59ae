"""Bodies on their way to the blob store: how many at once, in whose turn, and how long anybody waits for that.

A call that brings many bodies takes some of the places, never all, so that others get theirs in between. Whatever a
sender is told was not kept is deleted again, as soon as it is known how its put has ended.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ledger.blobs import Claims
from ledger.bus.group_commit import NOT_HANDED_OVER
from ledger.counted_log import CountedLog
from ledger.errors import BodyNotKept, Unavailable

PUT_AT_ONCE = 4
"""So many bodies may be on their way to the blob store; the memory of each is held until it is there or refused."""

OF_ONE_CALL = 2
"""So many of them may belong to one call."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the bodies of one call have in common."""

    begin_by: float  # by the loop's clock: what waits for a place until then is not kept
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OF_ONE_CALL))
    kept: list[str] = field(default_factory=list)


class Keeper:
    """Puts claims, and takes back those that are not needed after all."""

    def __init__(self, claims: Claims, *, deadline_seconds: float) -> None:
        self._claims = claims
        self._deadline_seconds = deadline_seconds  # for a place; again for the put; again for a deletion
        self._places = asyncio.Semaphore(PUT_AT_ONCE)
        self._deleting = asyncio.Semaphore(PUT_AT_ONCE)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._failures = CountedLog(log)

    def turn(self) -> Turn:
        """For a call that begins now."""
        return Turn(asyncio.get_running_loop().time() + self._deadline_seconds)

    async def keep(self, name: str, body: bytes, turn: Turn) -> None:
        """Return once the body is in the blob store. Raises `BodyNotKept`; a slow put keeps its place until its end."""
        trouble = await self._trouble_with(name, body, turn)
        if trouble is not None:
            self._failures.warning("A large body was not taken by the blob store.", {"error": trouble})
            raise BodyNotKept(NOT_HANDED_OVER)
        turn.kept.append(name)

    def forget(self, name: str) -> None:
        """Delete the claim in the background. Where that does not work, it goes with its age."""
        self._in_background(self._delete(name))

    async def close(self) -> None:
        """Wait for what is under way, at most for the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                while self._under_way:
                    await asyncio.wait(self._under_way)

    async def _trouble_with(self, name: str, body: bytes, turn: Turn) -> str | None:
        """Why it was not kept: a text. An error would hold the frames of who waits, and their bodies, in a cycle."""
        try:
            async with asyncio.timeout_at(turn.begin_by) as patience, turn.places:
                await self._places.acquire()
                putting = self._in_background(self._put(name, body))
                patience.reschedule(asyncio.get_running_loop().time() + self._deadline_seconds)
                return await self._ended(putting, name)
        except TimeoutError:
            return "too slow"

    async def _put(self, name: str, body: bytes) -> str | None:
        try:
            await self._claims.put_claim(name, body)
        except Unavailable as error:
            return str(error)
        finally:
            self._places.release()
        return None

    async def _ended(self, putting: asyncio.Task[str | None], name: str) -> str | None:
        try:
            trouble = await asyncio.shield(putting)
        except asyncio.CancelledError:  # nobody waits for it any more
            putting.add_done_callback(lambda _: self.forget(name))
            raise
        if trouble is not None:
            self.forget(name)  # it may be there all the same
        return trouble

    async def _delete(self, name: str) -> None:
        try:
            async with asyncio.timeout(self._deadline_seconds), self._deleting:
                await self._claims.delete_claim(name)
        except (TimeoutError, Unavailable) as error:
            extra = {"error": str(error) or "too slow"}
            self._failures.warning("A claim that no record names stays until it is old.", extra)

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._forget_task)
        return task

    def _forget_task(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have
