"""Binding and serving: a taken port, a port that is none, and finishing what is under way."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.http_server import HIGHEST_PORT, PORTS_TO_TRY, bind, serve
from ledger.errors import Misconfigured

HOST = "127.0.0.1"


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with bind(HOST, 0) as listener:
        yield port_of(listener)


def test_port_0_is_any_free_one() -> None:
    with bind(HOST, 0) as listener:
        assert port_of(listener) > 0
        assert not listener.getblocking()


def test_a_taken_port_is_said(taken: int) -> None:
    with pytest.raises(Misconfigured, match=f"Port {taken} of {HOST} is taken"):
        bind(HOST, taken)


def test_a_taken_port_gives_way_to_the_next_free_one_where_that_is_wanted(taken: int) -> None:
    with bind(HOST, taken, or_next=True) as listener:
        assert taken < port_of(listener) < taken + PORTS_TO_TRY


@pytest.mark.parametrize("port", [HIGHEST_PORT + 1, 10**9, -1])
@pytest.mark.parametrize("or_next", [False, True])
def test_a_port_that_is_none_is_said(port: int, or_next: bool) -> None:
    with pytest.raises(Misconfigured, match=f"There is no port {port}"):
        bind(HOST, port, or_next=or_next)


def test_behind_the_highest_port_there_is_no_next_one() -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(Misconfigured):
            stack.enter_context(bind(HOST, HIGHEST_PORT))
        with pytest.raises(Misconfigured, match="is taken"):
            bind(HOST, HIGHEST_PORT, or_next=True)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(Misconfigured, match="Cannot listen on"):
        bind(host, 0)


def test_an_address_of_the_new_kind_is_bound() -> None:
    if not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    try:
        listener = bind("::1", 0)
    except Misconfigured:
        pytest.skip("This machine has no IPv6.")
    with listener:
        assert listener.family == socket.AF_INET6


class Slow:
    """Answers a request when the test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})


async def test_a_request_under_way_is_finished_when_the_server_stops() -> None:
    app, stop, listener = Slow(), asyncio.Event(), bind(HOST, 0)
    port = port_of(listener)
    serving = asyncio.create_task(serve(app, listener, stop, drain_seconds=30))
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://{HOST}:{port}/"))
        await app.asked.wait()
        stop.set()
        app.gate.set()
        assert (await asking).text == "done"
    await serving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)


async def test_a_server_that_was_stopped_before_it_began_ends() -> None:
    stop = asyncio.Event()
    stop.set()
    await serve(Slow(), bind(HOST, 0), stop, drain_seconds=1)


async def test_the_applications_own_start_and_end_are_run_where_that_is_wanted() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        while (message := await receive())["type"] != "lifespan.shutdown":
            seen.append(message["type"])
            await send({"type": "lifespan.startup.complete"})
        seen.append(message["type"])
        await send({"type": "lifespan.shutdown.complete"})

    stop = asyncio.Event()
    stop.set()
    await serve(app, bind(HOST, 0), stop, drain_seconds=1, lifespan=True)
    assert seen == ["lifespan.startup", "lifespan.shutdown"]
