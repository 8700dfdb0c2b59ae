"""Serving an ASGI application from inside a running event loop: bind first, serve, stop when told."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from litestar.types import ASGIApp

from deploy.connections import ConnectionCaps, guarded
from ledger.errors import Misconfigured

GRACEFUL_SHUTDOWN_SECONDS = 25
PORTS_TO_TRY = 50
JUST_TAKEN_SECONDS = 0.2  # between a connection and the first bytes of its request
HIGHEST_PORT = 65535


def bind(host: str, port: int, *, or_next: bool = False) -> socket.socket:
    """A listening socket. With `or_next`, a taken port gives way to the next free one.

    Raises `Misconfigured` when no port can be had.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise Misconfigured(f"There is no port {port}: ports go up to {HIGHEST_PORT}.")
    last = min(port + PORTS_TO_TRY - 1, HIGHEST_PORT) if or_next else port
    for candidate in range(port, last + 1):
        with contextlib.suppress(_Taken):
            return _bound(host, candidate)
    raise Misconfigured(f"Port {port} of {host} is taken. Choose another one with --port.")


class _Taken(Exception):
    """The port is in use."""


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # inherited; else every answer waits 40 ms for an ACK
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise _Taken from error
        raise Misconfigured(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the process's own handlers stay."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nobody new, and let those who were just taken say what they want: uvicorn would hang up on them."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(JUST_TAKEN_SECONDS)
        await super().shutdown(sockets)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    drain_seconds: int,
    lifespan: bool = False,
    caps: ConnectionCaps | None = None,
) -> None:
    """Serve until `stop` is set, then finish the requests that are under way, for `drain_seconds` at most.

    With `lifespan` the application opens and closes its own parts around it.
    """
    config = uvicorn.Config(
        app,
        lifespan="on" if lifespan else "off",
        access_log=False,
        log_config=None,
        http=guarded(caps or ConnectionCaps()),
        loop="none",
        ws="none",
        server_header=False,
        proxy_headers=False,  # nobody asks who the client is
        timeout_graceful_shutdown=drain_seconds,
        timeout_keep_alive=75,
        backlog=2048,
    )
    server = _Server(config)
    stopping = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
