"""What a connection may take before the application hears of it: time and size of a request's head, and their number.

A head that is too large, or one connection too many, is answered in a body that the clients of every API understand.
"""

import asyncio
import json
import logging
import random
import resource
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from deploy.whole_answers import WholeAnswers
from ledger.counted_log import CountedLog

RETRY_AFTER_SECONDS = (1, 5)
MOST_CONNECTIONS = 4096
_OF_OPEN_FILES = 2  # at most one in so many of the files that the process may open is a connection


@dataclass(frozen=True, slots=True)
class ConnectionCaps:
    """How much is too much."""

    head_seconds: float = 5.0  # from a request's first byte to the end of its head; and before the very first byte
    rest_seconds: float = 30.0  # for the rest of a body that was answered before it was read
    head_bytes: int = 64 * 1024  # request line and headers
    connections: int = field(default_factory=lambda: connections_of(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


def connections_of(open_files: int) -> int:
    """How many connections a process may have that may open so many files (-1: any number)."""
    return MOST_CONNECTIONS if open_files < 0 else max(1, min(MOST_CONNECTIONS, open_files // _OF_OPEN_FILES))


class Refusal:
    """An application that refuses every request, unread, and closes the connection."""

    def __init__(self, status: HTTPStatus, text: str, code: str, *, retry: bool = False) -> None:
        self.status, self.code = status, code
        self.body = json.dumps({"message": text, "code": code, "statusCode": int(status), "error": text}).encode()
        self._retry = retry

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of one such answer."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"access-control-allow-origin", b"*"),
            (b"connection", b"close"),
        ]
        if self._retry:  # at random, so that refused clients do not all come back at once
            headers.append((b"retry-after", str(random.randint(*RETRY_AFTER_SECONDS)).encode()))
        return headers

    def raw(self) -> bytes:
        """The whole answer, for a request that has no end."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}".encode()]
        lines += [name + b": " + value for name, value in self.headers()]
        return b"\r\n".join([*lines, b"", self.body])

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Refuse."""
        await send({"type": "http.response.start", "status": self.status.value, "headers": self.headers()})
        await send({"type": "http.response.body", "body": self.body})


BUSY = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "Not confirmed, retry: too many connections", "SERVICE_UNAVAILABLE", retry=True
)
HEAD_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too large", "HEADERS_TOO_LARGE"
)
HEAD_TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request's headers took too long to arrive", "TIMEOUT")


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol under these caps.

    One timer per connection, running only while the other side is at fault: it owes a head, or it goes on sending what
    was answered long ago. uvicorn itself waits for both without end.
    """

    caps: ConnectionCaps
    counted: CountedLog

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._served = self.app
        self._in_head = False
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, for so long. Far too many connections are not even answered."""
        whole: Any = WholeAnswers(transport, self.loop.call_soon)
        super().connection_made(whole)
        if len(self.connections) > self.caps.connections + self.caps.connections // 2:
            self._count("connection dropped")
            transport.abort()
        else:
            self._wait(self.caps.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and look at what is still to come."""
        was_in_head = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data) if was_in_head else 0
            if self._head_bytes > self.caps.head_bytes:
                self._refuse(HEAD_TOO_LARGE)
            else:
                self._wait(self.caps.head_seconds)
        elif self._nothing_under_way():
            self._wait(self.caps.rest_seconds)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._head_bytes = True, 0
        self._stop_waiting()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete: who answers it?"""
        self._in_head = False
        self._stop_waiting()
        self.app = self._answering()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in uvicorn's words, in plain text: nobody knows whose client this is."""
        self._count("not HTTP")
        super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        self._count("wish for another protocol ignored")

    def _answering(self) -> Any:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.caps.head_bytes:
            self._count(HEAD_TOO_LARGE.code)
            return HEAD_TOO_LARGE
        if len(self.connections) > self.caps.connections:
            self._count(BUSY.code)
            return BUSY
        return self._served

    def _nothing_under_way(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._waited_enough)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _waited_enough(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(HEAD_TOO_SLOW)
        else:  # opened ahead of time and never used, as browsers do; or sending on and on
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        self._count(refusal.code)
        if self._nothing_under_way():  # else this would stand in the middle of the answer before
            self.transport.write(refusal.raw())
        self.transport.close()

    def _count(self, why: str) -> None:
        self.counted.warning("A connection misbehaved or was refused.", {"action": "connection_refused", "why": why})


def guarded(caps: ConnectionCaps) -> type[GuardedProtocol]:
    """The protocol class under these caps, for the connections of one server."""
    counts = CountedLog(logging.getLogger(__name__))

    class Guarded(GuardedProtocol):
        pass

    Guarded.caps, Guarded.counted = caps, counts
    return Guarded
