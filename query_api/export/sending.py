"""A file of unknown length → the answer. Only a whole file is ended; anything else breaks the connection off.

What fails before the first part is answered as everywhere. Later the status is sent already: then the application
fails, the server closes the connection within the body, and the client's own HTTP library says that it is incomplete.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from ledger.errors import LedgerError

PIECE_BYTES = 256 * 1024  # so much is handed to the server at once: it waits until a slow client has taken it
PATIENCE_SECONDS = 120.0  # for a piece to be taken: whoever reads nothing for so long holds a place for nothing
LOOK_EVERY_SECONDS = 0.1

log = logging.getLogger(__name__)


class ExportBroken(LedgerError):
    """The export was broken off."""


class Download(ASGIResponse):
    """The answer whose body these parts are. Its parts are closed when it ends, however it ends."""

    __slots__ = ("_parts", "_patience_seconds", "_stopping")

    _should_set_content_length = False

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None],
        stopping: asyncio.Event,
        headers: Mapping[str, str],
        media_type: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__(headers={**headers, "content-type": media_type}, media_type=media_type)
        self._patience_seconds = patience_seconds
        self._parts = parts
        self._stopping = stopping

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises what the first part raises, and `ExportBroken` for a body that is not whole."""
        async with aclosing(self._parts) as parts:
            first = await anext(parts)
            await self.start_response(send)
            await _while_wanted(self._send_all(first, parts, send), receive, self._stopping)

    async def _send_all(self, first: bytes, parts: AsyncGenerator[bytes, None], send: Send) -> None:
        await self._send(first, send)
        async for part in parts:
            await self._send(part, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, part: bytes, send: Send) -> None:
        for piece in _pieces(part):
            async with asyncio.timeout(self._patience_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})


def _pieces(part: bytes) -> Iterator[bytes]:
    return (part[start : start + PIECE_BYTES] for start in range(0, len(part), PIECE_BYTES))


async def _while_wanted(work: Coroutine[Any, Any, None], receive: Receive, stopping: asyncio.Event) -> None:
    """Return when the work has ended or its client has gone. Raises `ExportBroken` when it failed or has to stop."""
    tasks = sending, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        while not (sending.done() or leaving.done()):
            if stopping.is_set():
                raise ExportBroken("The service is stopping: go on after the last row, once it is there again.")
            await asyncio.wait(tasks, timeout=LOOK_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            _check(sending)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(sending: asyncio.Task[None]) -> None:
    error = sending.exception()
    if error is not None:
        log.warning(
            "An export broke off.", extra={"action": "export_broken", "detail": f"{type(error).__name__}: {error}"}
        )
        raise ExportBroken(str(error)) from error


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
