"""A TCP proxy before one server: what lies between two processes, as it is when it goes wrong.

It runs in a thread of its own. How it behaves can be changed at any time and holds for open connections too. The proxy
knows nothing of the protocol, with two exceptions for HTTP/1.1 without pipelining: bytes from the client after bytes
from the server begin a new request, and an answer of the proxy's own waits until the request has come whole.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tests.faults.http_framing import is_whole

_PIECE = 64 * 1024
_REMEMBERED = 64 * 1024  # of a request: its line and its headers are in there
_END_SECONDS = 30.0
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Kind(StrEnum):
    """What happens to bytes."""

    PASS = "pass"
    LATENCY = "latency"  # each piece is late, in both directions
    STALL = "stall"  # connections are accepted; nothing moves until the behaviour changes
    RESET = "reset"  # open connections and new ones are reset
    REFUSE = "refuse"  # open connections are reset, nobody listens
    HALF_CLOSE = "half-close"  # instead of the answer comes an end of the stream; the other direction stays open
    CUT = "cut"  # so many bytes of an answer come, then a reset; the request has been carried out
    ANSWER = "answer"  # the proxy answers an HTTP request itself; the server never sees it


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a link treats what goes through it. `only` and `times` narrow the kinds that act on requests."""

    kind: Kind = Kind.PASS
    seconds: float = 0.0  # of latency
    keep: int = 0  # bytes of an answer before it is cut
    answer: bytes = b""
    only: bytes = b""  # requests that begin with a piece which has these bytes in it
    times: int | None = None  # then the link is in order again; None: until it is told otherwise


PASS = Behaviour()
STALL = Behaviour(Kind.STALL)
RESET = Behaviour(Kind.RESET)
REFUSE = Behaviour(Kind.REFUSE)
HALF_CLOSE = Behaviour(Kind.HALF_CLOSE)


def latency(seconds: float) -> Behaviour:
    """Every piece comes this much later."""
    return Behaviour(Kind.LATENCY, seconds=seconds)


def cut(keep: int, *, only: bytes = b"", times: int | None = None) -> Behaviour:
    """The server does what it is asked, but of its answer only `keep` bytes arrive before the connection is reset."""
    return Behaviour(Kind.CUT, keep=keep, only=only, times=times)


def http_answer(status: int, body: bytes, *headers: str, only: bytes = b"", times: int | None = None) -> Behaviour:
    """The proxy answers in the server's place and closes the connection."""
    lines = [f"HTTP/1.1 {status} Answered", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return Behaviour(Kind.ANSWER, answer="\r\n".join(lines).encode("latin-1") + body, only=only, times=times)


class Link:
    """Listens on `port` of the loopback interface and connects each client to `target_port` there."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.behaviour = PASS
        self.hurt = 0  # connections and requests that were treated badly
        self.broken = 0  # connections that a side has broken off, or that found no server
        self.changed = asyncio.Event()
        self._listener = _listening(0)
        self.port = int(self._listener.getsockname()[1])
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"link-{self.port}")

    def start(self) -> None:
        """Begin to pass bytes."""
        self._thread.start()
        self._in_loop(self._listen)

    def behave(self, behaviour: Behaviour) -> None:
        """Returns once it is in force."""
        self._in_loop(self._change, behaviour)

    def close(self) -> None:
        """Reset what is open and end the thread."""
        self._in_loop(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        self._loop.close()

    def note_hurt(self) -> None:
        """Count one that was treated badly; the last of `times` puts the link in order."""
        self.hurt += 1
        left = self.behaviour.times
        if left is not None:
            self.behaviour = replace(self.behaviour, times=left - 1) if left > 1 else PASS

    async def let_go(self) -> Behaviour:
        """How the next piece is to be treated, once it may move at all."""
        while self.behaviour.kind is Kind.STALL:
            self.changed.clear()
            await self.changed.wait()
        if self.behaviour.kind is Kind.LATENCY:
            await asyncio.sleep(self.behaviour.seconds)
        return self.behaviour

    def _run(self) -> None:
        self._loop.run_forever()

    def _in_loop(self, step: Callable[..., Coroutine[Any, Any, None]], *arguments: Behaviour) -> None:
        asyncio.run_coroutine_threadsafe(step(*arguments), self._loop).result(_END_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._listener)

    async def _change(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.changed.set()
        if behaviour.kind in {Kind.RESET, Kind.REFUSE}:
            await self._reset_all()
        if behaviour.kind is Kind.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
        elif behaviour.kind is not Kind.REFUSE and self._server is None:
            self._listener = _listening(self.port)
            await self._listen()

    async def _reset_all(self) -> None:
        for task in self._connections:
            self.hurt += 1
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections))

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._reset_all()
        await asyncio.sleep(0)  # so that the sockets are closed, not only to be closed

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        task = asyncio.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)


@contextmanager
def running_link(target_port: int) -> Iterator[Link]:
    """A link that passes bytes until it is told to do otherwise."""
    link = Link(target_port)
    link.start()
    try:
        yield link
    finally:
        link.close()


class _Connection:
    """One client and the server's side of it. Both are reset when it ends in any way but the server's own end."""

    def __init__(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._from_client, self._to_client = reader, writer
        self._request = b""  # how the request under way began
        self._answered = 0  # bytes of the answer to it that have come

    async def run(self) -> None:
        """Until either side ends, or the link does away with it."""
        to_server: asyncio.StreamWriter | None = None
        try:
            if (await self._link.let_go()).kind is Kind.RESET:
                self._link.note_hurt()
                return
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._link.target_port)
            await self._carry(from_server, to_server)
        except OSError:
            self._link.broken += 1  # a side went away: the other one is told by a reset
        finally:
            for writer in filter(None, (to_server, self._to_client)):
                _reset(writer)

    async def _carry(self, from_server: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        up = asyncio.create_task(self._requests(to_server))
        down = asyncio.create_task(self._answers(from_server))
        try:
            done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if not any([task.result() for task in done]):
                await asyncio.gather(up, down)  # one direction has ended in good order, the other may go on
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _requests(self, to_server: asyncio.StreamWriter) -> bool:
        """Carry what the client sends to its end; True when the whole connection is to end now."""
        while piece := await self._from_client.read(_PIECE):
            behaviour = await self._link.let_go()
            if behaviour.kind is Kind.RESET:
                self._link.note_hurt()
                return True
            begins = self._answered > 0 or not self._request
            if begins:
                self._request, self._answered = b"", 0
            self._request = (self._request + piece)[:_REMEMBERED]
            if begins and behaviour.kind is Kind.ANSWER and behaviour.only in piece:
                await self._answer(behaviour.answer, piece)
                return True
            to_server.write(piece)
            await to_server.drain()
        to_server.write_eof()
        return False

    async def _answer(self, answer: bytes, message: bytes) -> None:
        """Take the request in whole, for a client that is still sending does not read; then answer it."""
        while not is_whole(message) and (piece := await self._from_client.read(_PIECE)):
            message += piece
        self._link.note_hurt()
        self._to_client.write(answer)
        await self._to_client.drain()
        self._to_client.write_eof()
        await self._from_client.read()  # until the client has closed: a reset would overtake the answer

    async def _answers(self, from_server: asyncio.StreamReader) -> bool:
        """Carry what the server sends to its end; True when the whole connection is to end now."""
        while piece := await from_server.read(_PIECE):
            behaviour = await self._link.let_go()
            before, self._answered = self._answered, self._answered + len(piece)
            if behaviour.kind in {Kind.RESET, Kind.HALF_CLOSE}:
                self._link.note_hurt()
                break
            if self._is_cut(behaviour, before):
                self._link.note_hurt()
                self._to_client.write(piece[: behaviour.keep - before])
                await self._to_client.drain()
                return True
            self._to_client.write(piece)
            await self._to_client.drain()
        self._to_client.write_eof()
        return self._link.behaviour.kind is Kind.RESET

    def _is_cut(self, behaviour: Behaviour, before: int) -> bool:
        within = before <= behaviour.keep < self._answered
        return behaviour.kind is Kind.CUT and within and behaviour.only in self._request


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; else pieces wait for each other
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection; the other side gets a reset, unless it was told of an end before and has closed."""
    carrier = writer.get_extra_info("socket")
    with suppress(OSError):
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()
