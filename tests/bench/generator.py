"""A load generator of its own process: raw sockets, HTTP/1.1, keep-alive. For machines without wrk.

It sends one and the same request over every connection, the next one when the answer is there.
"""

import asyncio
import re
import sys
import time
from dataclasses import dataclass, field
from typing import cast

import msgspec
import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Job(msgspec.Struct, frozen=True):
    """What to send and for how long. `requests` None: until the time is over."""

    host: str
    port: int
    request: bytes
    connections: int
    seconds: float
    requests: int | None = None
    per_second: int | None = None  # of all connections together; None: as many as are answered


class Outcome(msgspec.Struct, frozen=True):
    """What came of it. Latencies are milliseconds."""

    requests: int
    seconds: float
    failures: int  # answers that are not 200, and connections that broke
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class _Run:
    job: Job
    stop_at: float
    done: asyncio.Future[None]
    open: int = 0
    started: int = 0
    failures: int = 0
    latencies: list[float] = field(default_factory=list)

    def may_go_on(self) -> bool:
        """Whether one more request is wanted."""
        limit = self.job.requests
        return time.perf_counter() < self.stop_at and (limit is None or self.started < limit)

    def wait_for_next(self) -> float:
        """Seconds until the next request has its turn; 0 where no pace is set, and for one that is late."""
        if not self.job.per_second:
            return 0.0
        turn = self.stop_at - self.job.seconds + self.started / self.job.per_second
        return max(0.0, turn - time.perf_counter())


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport
        self._sent_at = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self._run.open += 1
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._run.latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self._run.failures += 1
        self._received = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sent_at:
            self._run.failures += 1
        self._run.open -= 1
        if not self._run.open and not self._run.done.done():
            self._run.done.set_result(None)

    def _next(self) -> None:
        if self._run.may_go_on():
            wait = self._run.wait_for_next()
            self._run.started += 1
            if wait:
                asyncio.get_running_loop().call_later(wait, self._send)
            else:
                self._send()
        else:
            self._sent_at = 0.0  # nothing is under way: the end of the connection is no failure
            self._transport.close()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.job.request)


async def generate(job: Job) -> Outcome:
    """Do the job."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    run = _Run(job, started + job.seconds, loop.create_future())
    connecting = [loop.create_connection(lambda: _Connection(run), job.host, job.port) for _ in range(job.connections)]
    await asyncio.gather(*connecting)
    await run.done
    seconds = time.perf_counter() - started
    ordered = sorted(run.latencies) or [0.0]
    p50, p99 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
    return Outcome(len(run.latencies), seconds, run.failures, p50, p99)


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(generate(wanted))))
