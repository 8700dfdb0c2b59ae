"""One address in front of the services that stays up whatever happens to them, and says what it saw of them.

As load balancers do: 503 when a service does not take the connection, so that nothing can have been stored; 502 when
the connection was lost on the way, so that nobody knows. A client is never simply cut off by this gateway.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import httpx

from deploy.dispatcher import Dispatcher, Mount
from deploy.http_server import bind, serve
from deploy.routes import ROUTES, Service
from tests.support.gateway import Forward

NOT_TAKEN, LOST = 503, 502
_END_SECONDS = 30.0
_ANSWER_SECONDS = 60.0


class FrontDoor:
    """Runs in a thread of its own from `start` to `close`."""

    def __init__(self, services: Mapping[Service, str]) -> None:
        self._services = services
        self._listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="front-door")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is under way is cut off."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(_END_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        # A new connection for each request: on one that was kept, a service that ends in good order would look
        # like one that lost the request.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, limits=limits, trust_env=False) as client:
            doors = {service: _Door(Forward(client, base)) for service, base in self._services.items()}
            mounts = [Mount(route.path, doors[route.service]) for route in ROUTES]
            await serve(Dispatcher(mounts, otherwise=doors[Service.INGEST]), self._listener, self._end, drain_seconds=1)


class _Door:
    """Hands on to one service, and answers for it when it cannot be had."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._forward(scope, receive, send)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            await _answer(send, NOT_TAKEN)
        except httpx.TransportError:
            await _answer(send, LOST)


async def _answer(send: Any, status: int) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})
