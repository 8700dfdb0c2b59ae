"""One system, one way of sending: what was acknowledged, what could be queried, and what it cost the server.

The clock runs from the first request until the system's own API counts all that was acknowledged. Requests are made
before it starts; the store is empty but for the calls that warmed the server up.
"""

import gc
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.peers.asking import ask, timed
from tests.bench.peers.calls import LlmCall, calls
from tests.bench.peers.processes import settle, weigh
from tests.bench.peers.sending import Load, Request, sent
from tests.bench.peers.system import Page, Server, System

_WARM_UP_CALLS = 128
_WARM_UP_BATCH = 8
_WARM_UP_AGE_MS = 60_000  # older than all that is measured
_PAGE_WARM_UPS = 5
_FIRST_PAUSE, _PAUSE_SHARE = 0.05, 0.02  # between two looks: seconds, and the share of the wait so far


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    calls: int
    body_bytes: int
    connections: int
    seconds: float  # to send, and to ask for each page, at most
    storing_seconds: float  # after the last acknowledgement, until all of it can be queried
    page_requests: int

    def load(self, server: Server) -> Load:
        """The load on this server."""
        return Load(server.url, self.connections, self.seconds)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls that were sent in one way."""

    system: str
    version: str
    batch: int  # calls per request
    calls: int
    acknowledged: int  # with 2xx
    refused: dict[str, int]  # calls by status, or by what happened instead of an answer
    unsent: int  # there was no time for them
    put_off: int  # requests that were told to come again, and did
    found: int  # by the system's own count, at the end
    sending_seconds: float  # until the last acknowledgement
    storing_seconds: float  # until the last one was found
    cpu_seconds: float  # of the server, until then
    memory_bytes: int  # of the server, then
    load_before: float  # of the machine, over the last minute: what else it has to do falls on some and not on others

    @property
    def acknowledged_rate(self) -> float | None:
        """Calls per second."""
        return self.acknowledged / self.sending_seconds if self.acknowledged else None

    @property
    def found_rate(self) -> float | None:
        """Calls per second, until they could be queried."""
        return self.found / self.storing_seconds if self.found else None

    @property
    def cpu_per_thousand(self) -> float | None:
        """Seconds of the server's CPU time per 1,000 calls found."""
        return 1000 * self.cpu_seconds / self.found if self.found else None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """How long a page took, over so many calls. Milliseconds."""

    system: str
    page: str
    rows: int
    p50: float
    p99: float
    requests: int


def measured(system: System, folder: Path, batch: int, plan: Plan, *, pages: bool) -> tuple[Stored, list[Listed]]:
    """Start the system on the empty folder, send, count, and ask for its lists where that is wanted."""
    folder.mkdir()
    with system.running(folder) as server:
        settle(server.pid)
        already = _warmed_up(server, batch, plan)
        stored = _stored(system, server, batch, plan, already)
        listed = [_listed(system, server, page, already + stored.found, plan) for page in server.pages if pages]
    return stored, listed


def found(server: Server, wanted: int, seconds: float) -> tuple[int, float]:
    """How many calls can be queried, and since when: asked until it is so many, or the time is over.

    It asks the more seldom the longer it takes: answering is work for the server, too.
    """
    started = grown_at = time.perf_counter()
    count = server.count()
    while count < wanted and (waited := time.perf_counter() - started) < seconds:
        time.sleep(_FIRST_PAUSE + _PAUSE_SHARE * waited)
        now = server.count()
        if now != count:
            count, grown_at = now, time.perf_counter()
    return count, grown_at


def latencies(taken: Sequence[float]) -> tuple[float, float]:
    """Their p50 and p99."""
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _warmed_up(server: Server, batch: int, plan: Plan) -> int:
    """How many calls the server has stored before it is measured."""
    older = list(calls(_WARM_UP_CALLS, plan.body_bytes, _now_ms() - _WARM_UP_AGE_MS))
    outcome = sent(plan.load(server), _requests(server, older, min(batch, _WARM_UP_BATCH)))
    return found(server, outcome.acknowledged, plan.storing_seconds)[0]


def _stored(system: System, server: Server, batch: int, plan: Plan, already: int) -> Stored:
    load_before = os.getloadavg()[0]
    requests = _requests(server, list(calls(plan.calls, plan.body_bytes, _now_ms())), batch)
    gc.collect()
    before, started = weigh(server.pid), time.perf_counter()
    outcome = sent(plan.load(server), requests)
    count, found_at = found(server, already + outcome.acknowledged, plan.storing_seconds)
    after = weigh(server.pid)
    return Stored(
        system=system.name,
        version=system.version,
        batch=batch,
        calls=plan.calls,
        acknowledged=outcome.acknowledged,
        refused=dict(outcome.refused),
        unsent=outcome.unsent,
        put_off=outcome.put_off,
        found=count - already,
        sending_seconds=outcome.seconds,
        storing_seconds=found_at - started,
        cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        memory_bytes=after.memory_bytes,
        load_before=load_before,
    )


def _requests(server: Server, every: Sequence[LlmCall], batch: int) -> list[Request]:
    parts = [every[start : start + batch] for start in range(0, len(every), batch)]
    return [Request(server.export(part).raw(server.url), len(part)) for part in parts]


def _listed(system: System, server: Server, page: Page, rows: int, plan: Plan) -> Listed:
    page.check(ask(server.url, page.question))
    timed(server.url, page.question, _PAGE_WARM_UPS, plan.seconds)
    taken = timed(server.url, page.question, plan.page_requests, plan.seconds)
    p50, p99 = latencies(taken)
    return Listed(system=system.name, page=page.name, rows=rows, p50=p50, p99=p99, requests=len(taken))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
