"""Sends the head of an answer together with what follows it.

uvicorn writes head and body apart, and uvloop sends each write at once: two system calls and two packets. One less
saves 2 us of our time, and the client a second read.
"""

import asyncio
from collections.abc import Callable
from typing import Any

_OF_A_HEAD = b"HTTP/1."
_SMALL_BYTES = 64 * 1024  # to put head and body together is to copy the body


class WholeAnswers:
    """A transport that holds back what looks like a head until the next write, or until the loop's next turn.

    Whatever is held, all bytes leave in the order in which they were written; only one head waits at a time.
    """

    def __init__(self, transport: asyncio.Transport, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._transport = transport
        self._call_soon = call_soon
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it, unless it is a head: that waits a little."""
        if self._head and len(data) <= _SMALL_BYTES:
            data, self._head = self._head + data, b""
        elif self._head:
            self._send_head()
        elif data[:7] == _OF_A_HEAD:
            self._head = data
            self._call_soon(self._send_head)
            return
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be. Asked for every request, so it does not take the long way."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close once everything is sent."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
