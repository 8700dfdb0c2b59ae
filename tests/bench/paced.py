"""Steady load from a process of its own: so many requests a second over so many connections, all open all the time.

Every n-th accepted report can be followed until it is visible: the product is asked to answer once it is. It looks ten
times a second itself, so what is measured is up to 0.1 s more than what it took.
"""

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

import msgspec
import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_POSITION = re.compile(rb"llmledger-position: *([\d-]+)", re.IGNORECASE)
_SPARE_SECONDS = 90.0
_WAIT_SECONDS = 30  # the longest that the product waits with one answer


class Address(msgspec.Struct, frozen=True):
    """Where a service listens."""

    host: str
    port: int


class Follow(msgspec.Struct, frozen=True):
    """Whom to ask for the status of what was accepted, of every so-manieth report."""

    address: Address
    key: str
    every: int


class PacedJob(msgspec.Struct, frozen=True):
    """What to send, how often, for how long."""

    address: Address
    request: bytes
    connections: int
    per_second: int  # of all connections together
    seconds: float
    follow: Follow | None = None


class PacedOutcome(msgspec.Struct, frozen=True):
    """What came of it."""

    requests: int
    seconds: float
    failures: int  # answers that are not 200
    late: int  # requests that were sent more than 0.1 s after their time, as the answer before came late
    visible_seconds: list[float]  # from accepted to visible, of each that was followed
    troubles: list[str]  # of those: what was said instead


@dataclass(slots=True)
class _Run:
    job: PacedJob
    started: float
    requests: int = 0
    failures: int = 0
    late: int = 0
    visible_seconds: list[float] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    following: set[asyncio.Task[None]] = field(default_factory=set)

    async def keep_sending(self, place: int) -> None:
        """One connection: every turn that is its own, from the first to the last."""
        job = self.job
        reader, writer = await asyncio.open_connection(job.address.host, job.address.port)
        for turn in range(place, round(job.per_second * job.seconds), job.connections):
            due = self.started + turn / job.per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late += time.monotonic() - due > 0.1
            head, _ = await exchange(reader, writer, job.request)
            self._note(head, turn)
        await asyncio.sleep(max(0.0, self.started + job.seconds - time.monotonic()))  # it stays open to the end
        writer.close()

    def _note(self, head: bytes, turn: int) -> None:
        self.requests += 1
        position = _POSITION.search(head)
        if not head.startswith(b"HTTP/1.1 200") or position is None:
            self.failures += 1
        elif self.job.follow and turn % self.job.follow.every == 0:
            task = asyncio.create_task(self._until_visible(self.job.follow, position[1].decode(), time.monotonic()))
            self.following.add(task)

    async def _until_visible(self, follow: Follow, position: str, accepted_at: float) -> None:
        reader, writer = await asyncio.open_connection(follow.address.host, follow.address.port)
        path = f"/api/v1/status?position={position}&wait={_WAIT_SECONDS}"
        head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {follow.key}\r\n\r\n"
        _, body = await exchange(reader, writer, head.encode())
        if msgspec.json.decode(body).get("status") == "visible":
            self.visible_seconds.append(time.monotonic() - accepted_at)
        else:
            self.troubles.append(f"{position}: {body[:200].decode(errors='replace')}")
        writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head, await reader.readexactly(int(length[1]) if length else 0)


async def generate(job: PacedJob) -> PacedOutcome:
    """Do the job. Raises what breaks a connection."""
    run = _Run(job, time.monotonic() + 0.5)  # all connections are open by then
    async with asyncio.TaskGroup() as group:
        for place in range(job.connections):
            group.create_task(run.keep_sending(place))
    seconds = time.monotonic() - run.started
    await asyncio.gather(*run.following)
    return PacedOutcome(run.requests, seconds, run.failures, run.late, sorted(run.visible_seconds), run.troubles)


def start(job: PacedJob) -> "subprocess.Popen[bytes]":
    """Begin the job in a process of its own; `outcome` waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.paced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(job))
    process.stdin.close()
    process.stdin = None  # what is closed here is not to be flushed again
    return process


def outcome(process: "subprocess.Popen[bytes]", job: PacedJob) -> PacedOutcome:
    """What came of it. Raises `ChildProcessError` when it failed."""
    printed, _ = process.communicate(timeout=job.seconds + _SPARE_SECONDS)
    if process.returncode:
        raise ChildProcessError(f"The steady load ended with {process.returncode}.")
    return msgspec.json.decode(printed, type=PacedOutcome)


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=PacedJob)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(generate(wanted))))
