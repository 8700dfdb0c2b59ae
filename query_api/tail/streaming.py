"""An answer that goes on until its reader is gone, the service stops, or there is nothing more to say.

Whichever comes first ends the work at once, also in the middle of a statement or of a write that nobody takes. A reader
that takes nothing for two minutes counts as gone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from typing import TypeAlias

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from query_api.tail.following import Write

PATIENCE_SECONDS = 120.0  # for an event to be taken: whoever reads nothing for so long holds a seat for nothing
LAST_WORD_SECONDS = 0.5  # for the end of the body, where the reader may take nothing any more

log = logging.getLogger(__name__)

Run: TypeAlias = Callable[[Write], Awaitable[None]]


class NotTaken(Exception):
    """Nobody has taken an event for too long."""


class EventStream(ASGIResponse):
    """Server-sent events; `held` is held from the first byte to the last."""

    _should_set_content_length = False

    def __init__(
        self,
        run: Run,
        held: AbstractContextManager[None],
        stopping: asyncio.Event,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__(
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},  # no proxy is to keep events back
        )
        self._run, self._held, self._stopping = run, held, stopping
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._held:
            await super().__call__(scope, receive, send)

    async def send_body(self, send: Send, receive: Receive) -> None:
        """The events. Raises what the work raised."""
        gone = asyncio.create_task(_gone(receive))
        ends = {asyncio.create_task(self._work(send)), asyncio.create_task(_until(self._stopping)), gone}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        for task in done:
            task.result()
        if gone not in done:
            await _end(send)

    async def _work(self, send: Send) -> None:
        async def write(event: bytes) -> None:
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            except TimeoutError:
                raise NotTaken from None

        try:
            await self._run(write)
        except NotTaken:
            log.info("A tail's reader takes nothing: it has ended.", extra={"action": "tail_not_taken"})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _end(send: Send) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORD_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
