"""A gateway for the cluster's services: one address in front of all, by the product's own routing table.

It stands for whatever a deployment puts there. Requests and answers go through unchanged.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from deploy.dispatcher import Dispatcher, Mount
from deploy.http_server import bind, serve
from deploy.routes import ROUTES, Service

_END_SECONDS = 30.0
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"host"})


class Forward:
    """Hands each request on to one service."""

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        self._client = client
        self._base_url = base_url

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the request whole, ask the service, hand its answer back."""
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("ascii")
        request = httpx.Request(
            scope["method"],
            f"{self._base_url}{path}" + (f"?{query}" if query else ""),
            headers=[pair for pair in scope["headers"] if pair[0] not in _HOP_BY_HOP],
            content=await _body(receive),
        )
        answer = await self._client.send(request, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        await answer.aclose()
        headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _body(receive: Any) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


@contextmanager
def running_gateway(services: Mapping[Service, str]) -> Iterator[str]:
    """The base URL of a gateway before the services at these base URLs; it runs in a thread of this process."""
    listener = bind("127.0.0.1", 0)
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()

    async def run() -> None:
        end = asyncio.Event()
        stop.append((asyncio.get_running_loop(), end))
        started.set()
        async with httpx.AsyncClient(timeout=60.0) as client:
            forwards = {service: Forward(client, base_url) for service, base_url in services.items()}
            mounts = [Mount(route.path, forwards[route.service]) for route in ROUTES]
            await serve(Dispatcher(mounts, otherwise=forwards[Service.INGEST]), listener, end, drain_seconds=1)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="gateway")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        started.wait()
        loop, end = stop[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(_END_SECONDS)
    assert not thread.is_alive(), "the gateway does not end"
