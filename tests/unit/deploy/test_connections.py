"""Connections under caps: heads that are slow, large or too many, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.connections import MOST_CONNECTIONS, ConnectionCaps, connections_of
from deploy.http_server import bind, serve

HOST = "127.0.0.1"
HEAD = b"GET / HTTP/1.1\r\nhost: ledger\r\n"


class Echo:
    """Answers `served`, after having read the body unless it is told not to."""

    def __init__(self, *, reads: bool = True) -> None:
        self.reads = reads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while self.reads and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"served"})


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A started server and what was opened to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes = b"") -> Connection:
        """A new connection that has sent this."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self.opened.append(writer)
        writer.write(sent)
        return reader, writer

    async def told(self, sent: bytes) -> bytes:
        """All that the server says until it closes the connection."""
        reader, _ = await self.open(sent)
        return await reader.read()


@asynccontextmanager
async def started(app: Any = None, **caps: Any) -> AsyncIterator[Server]:
    stop, listener = asyncio.Event(), bind(HOST, 0)
    serving = asyncio.create_task(
        serve(app or Echo(), listener, stop, drain_seconds=5, caps=ConnectionCaps(**{"connections": 100} | caps))
    )
    server = Server(listener.getsockname()[1])
    try:
        yield server
    finally:
        for writer in server.opened:
            writer.close()
        stop.set()
        await serving


def parsed(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("sent", [b"GET", HEAD, HEAD + b"x: " + b"y" * 1000])
async def test_a_head_that_does_not_come_to_its_end_is_given_up(sent: bytes) -> None:
    async with started(head_seconds=0.05) as server:
        status, body = parsed(await server.told(sent))
    assert (status, body["code"]) == (408, "TIMEOUT")


async def test_a_head_that_comes_byte_by_byte_is_given_up_too() -> None:
    async with started(head_seconds=0.05) as server:
        told = await told_while_sending(await server.open(b"GET / HTTP/1.1\r\n"), b"x")
    assert b" 408 " in told


async def told_while_sending(connection: Connection, part: bytes) -> bytes:
    """What the server says to one who goes on sending this until it closes the connection."""
    reader, writer = connection
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    async with asyncio.timeout(30):
        while not answer.done():
            writer.write(part)
            await asyncio.wait({answer}, timeout=0.005)
    return answer.result()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_connection_that_is_not_used_is_closed_without_a_word(sent: bytes) -> None:
    async with started(head_seconds=0.05, rest_seconds=0.05) as server:
        assert await server.told(sent) == b""


async def test_the_next_head_of_a_kept_connection_has_its_own_time() -> None:
    async with started(head_seconds=0.05) as server:
        reader, writer = await server.open(HEAD + b"\r\n")
        await reader.readuntil(b"served")
        writer.write(b"GET / HT")
        assert parsed(await reader.read())[0] == 408


async def test_a_slow_answer_is_not_a_slow_head() -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await gate.wait()
        await Echo()(scope, receive, send)

    async with started(slow, head_seconds=0.01, rest_seconds=0.01) as server:
        reader, _ = await server.open(HEAD + b"\r\n")
        await asked.wait()
        later = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, later.set_result, None)
        await later
        gate.set()
        assert (await reader.readuntil(b"served")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"x: " + b"y" * 3000 + b"\r\n\r\n",
        HEAD + b"".join(b"x%d: y\r\n" % number for number in range(300)) + b"\r\n",
        b"GET /?" + b"y" * 3000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_complete_head_that_is_too_large_is_refused(sent: bytes) -> None:
    async with started(head_bytes=2000) as server:
        status, body = parsed(await server.told(sent))
    assert (status, body["code"]) == (431, "HEADERS_TOO_LARGE")


async def test_a_head_without_end_is_refused_when_it_is_too_large() -> None:
    async with started(head_bytes=2000, head_seconds=60) as server:
        told = await told_while_sending(await server.open(HEAD + b"x: "), b"y" * 1000)
    assert b" 431 " in told


async def test_one_connection_too_many_is_told_to_come_back() -> None:
    async with started(connections=2) as server:
        kept = [await server.open(HEAD + b"\r\n") for _ in range(2)]
        for reader, _ in kept:
            await reader.readuntil(b"served")
        answer = await server.told(HEAD + b"\r\n")
        status, body = parsed(answer)
        assert (status, body["code"], body["statusCode"]) == (503, "SERVICE_UNAVAILABLE", 503)
        assert body["error"] == body["message"]
        retry_after = next(line for line in answer.split(b"\r\n") if line.startswith(b"retry-after"))
        assert 1 <= int(retry_after.split()[1]) <= 5
        kept[0][1].write(HEAD + b"connection: close\r\n\r\n")  # there is one less then
        await kept[0][0].read()
        assert (await server.told(HEAD + b"connection: close\r\n\r\n")).endswith(b"served")


async def test_far_too_many_connections_are_dropped() -> None:
    async with started(connections=2) as server:
        for _ in range(3):
            await server.open()
        reader, _ = await server.open(HEAD + b"\r\n")
        assert await all_of(reader) == b""


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end of the connection, whichever end it has."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_body_that_was_answered_before_it_was_read_is_not_waited_for_without_end() -> None:
    async with started(Echo(reads=False), rest_seconds=0.05) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: l\r\ncontent-length: 100\r\n\r\n")
        await reader.readuntil(b"served")
        writer.write(b"the rest, or some of it")
        async with asyncio.timeout(30):  # uvicorn alone would wait for ever
            assert await all_of(reader) == b""


async def test_what_is_not_http_is_answered_in_plain_text_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with started() as server:
        told = [await server.told(b"\x00\x01\x02 what\r\n\r\n") for _ in range(20)]
    assert all(text.startswith(b"HTTP/1.1 400 Bad Request") for text in told)
    assert all(b"content-type: text/plain" in text for text in told)
    assert len([record for record in caplog.records if record.name == "deploy.connections"]) == 1


@pytest.mark.parametrize(
    ("open_files", "connections"), [(256, 128), (1024, 512), (1_000_000, MOST_CONNECTIONS), (-1, MOST_CONNECTIONS)]
)
def test_half_of_the_files_that_may_be_open_may_be_connections(open_files: int, connections: int) -> None:
    assert connections_of(open_files) == connections
