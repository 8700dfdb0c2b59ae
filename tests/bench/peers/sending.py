"""The one load client for every system: ready-made requests over kept connections, each acknowledged at most once.

It does as exporters do: what is answered with 429, 502, 503 or 504 is sent again later, any other refusal is final.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

_LATER = frozenset({429, 502, 503, 504})
_LATER_SECONDS = 1.0  # where the answer does not say when
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request, and how many calls it carries."""

    raw: bytes
    calls: int


@dataclass(frozen=True, slots=True)
class Load:
    """Where to send, over how many connections, and when to stop."""

    url: str
    connections: int
    seconds: float


@dataclass(slots=True)
class Sent:
    """What came of it. All but `put_off` and `seconds` count calls."""

    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by status, or by what happened instead of an answer
    unsent: int = 0  # there was no time for them
    put_off: int = 0  # requests that were told to come again
    seconds: float = 0.0  # until the last acknowledgement


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: float
    keeps_alive: bool


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._retry_after = _LATER_SECONDS
        self._answer: asyncio.Future[_Answer] | None = None

    async def exchange(self, request: bytes) -> _Answer:
        """Send one request. Raises `ConnectionError` when the other side hangs up, `TimeoutError` without an answer."""
        if self._transport.is_closing():
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await self._answer

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser found a header."""
        if name.lower() == b"retry-after" and value.isdigit():
            self._retry_after = float(value)

    def on_message_complete(self) -> None:
        """The parser found the end of the answer."""
        answer = _Answer(self._parser.get_status_code(), self._retry_after, self._parser.should_keep_alive())
        self._retry_after = _LATER_SECONDS
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


def sent(load: Load, requests: Sequence[Request]) -> Sent:
    """Send all of them, each once, or as many as there is time for."""
    return uvloop.run(_sent(load, requests))


async def _sent(load: Load, requests: Sequence[Request]) -> Sent:
    pending, outcome, started = deque(requests), Sent(), time.perf_counter()
    workers = min(load.connections, len(requests))
    await asyncio.gather(*(_work(load, pending, outcome, started) for _ in range(workers)))
    outcome.unsent = sum(request.calls for request in pending)
    return outcome


async def _work(load: Load, pending: deque[Request], outcome: Sent, started: float) -> None:
    connection: _Connection | None = None
    while pending and time.perf_counter() - started < load.seconds:
        request = pending.popleft()
        try:
            connection = connection or await _connected(load.url)
            answer = await connection.exchange(request.raw)
        except OSError as error:  # includes TimeoutError
            outcome.refused["no answer" if isinstance(error, TimeoutError) else "hung up"] += request.calls
            _close(connection)
            connection = None
            continue
        if not answer.keeps_alive:
            _close(connection)
            connection = None
        if 200 <= answer.status < 300:
            outcome.acknowledged += request.calls
            outcome.seconds = time.perf_counter() - started
        elif answer.status in _LATER:
            outcome.put_off += 1
            pending.append(request)
            await asyncio.sleep(answer.retry_after)
        else:
            outcome.refused[str(answer.status)] += request.calls
    _close(connection)


async def _connected(url: str) -> _Connection:
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(_Connection, address.hostname or "", address.port or 80))[1]


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection.close()
