"""A client that is gone waits for nothing: what is still done for its question is cancelled.

For GET alone: what changes something is done to its end, whoever asked for it. The bodies of such requests mean nothing
and are not handed on.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send


class HangUps:
    """Around an application: ends its work on a request as soon as the client hangs up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what the application does, unless nobody is there any more."""
        this = asyncio.current_task()
        if this is None or scope.get("method") != "GET":
            await self._app(scope, receive, send)
            return
        line = _Line(this, receive, send)
        listening = asyncio.create_task(line.listen())
        try:
            await self._app(scope, line.receive, line.send)
        except asyncio.CancelledError:
            if not line.hung_up:
                raise
        finally:
            listening.cancel()
            if line.hung_up:
                this.uncancel()


@dataclass(slots=True)
class _Line:
    """The connection, listened to while the question is at work."""

    at_work: "asyncio.Task[Any]"
    from_client: Receive
    to_client: Send
    hung_up: bool = False
    _answered: bool = False
    _was_told: bool = False
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Wait until the client is gone. After the answer that means nothing."""
        while (await self.from_client())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if not self._answered:
            self.hung_up = True
            self.at_work.cancel()

    async def receive(self) -> Any:
        """An empty body, and then the end."""
        if not self._was_told:
            self._was_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hand it on."""
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True
        await self.to_client(message)
