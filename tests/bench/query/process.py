"""The process under test, seen from outside: requests over one kept connection each, and commands over its stdin."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from tests.bench.query.commands import Command, Execute, Memory, Plain, Ready, Rows, Write

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER_SECONDS = 300.0
_END_SECONDS = 60.0
_IDLE_SECONDS = 2.0  # the service hangs up on who says nothing for long
_RECEIVE_BYTES = 1 << 18


class Gone(Exception):
    """The process has ended, or has hung up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request, and how many milliseconds it took."""

    status: int
    body: bytes
    ms: float


class Connection:
    """One connection, kept alive, for one request after the other. Little is done while the time is running."""

    def __init__(self, ready: Ready) -> None:
        self._port, self._used_at = ready.port, 0.0
        self._connect()
        self._head = f" HTTP/1.1\r\nHost: 127.0.0.1:{ready.port}\r\nAuthorization: Bearer {ready.key}\r\n\r\n"

    def get(self, path: str) -> Answer:
        """Ask for this path. Raises `Gone` when the other side hangs up."""
        request = f"GET {path}{self._head}".encode()
        if time.perf_counter() - self._used_at > _IDLE_SECONDS:
            self.close()
            self._connect()
        before = time.perf_counter()
        self._socket.sendall(request)
        received, wanted = bytearray(), -1
        while wanted < 0 or len(received) < wanted:
            part = self._socket.recv(_RECEIVE_BYTES)
            if not part:
                raise Gone(f"The service hung up on GET {path}.")
            received += part
            if wanted < 0:
                wanted = _total_length(received)
        self._used_at = time.perf_counter()
        ms = 1000 * (self._used_at - before)
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        return Answer(int(head[9:12]), body, ms)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used_at = time.perf_counter()


def _total_length(received: bytearray) -> int:
    """Of head and body; -1 while the head is not there yet."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return -1
    length = _LENGTH.search(received, 0, end + 2)
    if length is None:
        raise Gone("An answer does not tell its length.")
    return end + 4 + int(length[1])


class Service:
    """The running process."""

    def __init__(self, process: subprocess.Popen[bytes], ready: Ready) -> None:
        self._process = process
        self._ready = ready

    def connect(self) -> Connection:
        """A new connection."""
        return Connection(self._ready)

    def plain_ms(self, plain: Plain) -> float:
        """How many milliseconds this way takes inside of the process."""
        return float(self._answer(plain))

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of this statement."""
        return cast(list[list[Any]], self._answer(Rows(sql)))

    def execute(self, sql: str) -> None:
        """Run this statement."""
        self._answer(Execute(sql))

    def write(self, new: int, updates: tuple[int, ...] = ()) -> None:
        """Insert new rows, and updates of rows of these batches."""
        self._answer(Write(new, updates))

    def highest_memory(self) -> int:
        """The highest resident memory in bytes since it was last asked for."""
        return int(self._answer(Memory()))

    def _answer(self, command: Command) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Gone(f"The process ended with {self._process.wait(_END_SECONDS)} when it was told: {command}")
        return msgspec.json.decode(line)


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    """The service over the data set in this folder. What it says on stderr is kept beside the data."""
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.query.server", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise Gone(f"The process ended at its start: {(folder / 'service.log').read_text(errors='replace')}")
        yield Service(process, msgspec.json.decode(line, type=Ready))
        process.stdin.close()
        process.wait(_END_SECONDS)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
