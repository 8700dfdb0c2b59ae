"""The whole product in one process under load: HTTP in, SQLite log, worker, embedded engine, HTTP out.

Once a second a report of the bench's own tells by its position how many were accepted, and the list's total tells how
many of them can be read: the difference is the lag. In the end the total must be what was accepted, to the report.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bench.bodies import report_body
from tests.bench.figures import Figure, Target
from tests.bench.load import Endpoint, steady_load
from tests.bench.plan import CONNECTIONS, Plan
from tests.bench.processes import cpu_seconds, memory_figure, peak_mb
from tests.support.standalone_process import Standalone, start_standalone

_NAME = "standalone, end to end"
_EVERY_SECONDS = 1.0
_DRAIN_SECONDS = 300.0
_CALL_SECONDS = 60.0
_RATE = Target(at_least=4000.0)
_LAG = Target(at_most=1.5)
_MOST_MB = 1200.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at a time, in seconds since the load began."""

    at: float
    accepted: int
    visible: int

    @property
    def lag(self) -> int:
        """Reports that were accepted and cannot be read yet."""
        return self.accepted - self.visible


@dataclass(frozen=True, slots=True)
class Ledger:
    """A running product as the bench asks it."""

    client: httpx.Client
    body: bytes
    headers: dict[str, str]

    def accept_one(self) -> int:
        """How many reports were ever accepted, one of the bench's own included: the log counts from 1."""
        answer = self.client.post("/api/v1/report", content=self.body, headers=self.headers)
        answer.raise_for_status()
        return int(answer.headers["LLMLedger-Position"].rpartition("-")[2])

    def visible(self) -> int:
        """How many can be read."""
        answer = self.client.get("/api/v1/requests", params={"pageSize": 0}, headers=self.headers)
        answer.raise_for_status()
        return int(json.loads(answer.content)["totalCount"])


@dataclass(slots=True)
class Sampling:
    """Looks once a second in a thread of its own. What goes wrong there is raised at the end."""

    ledger: Ledger
    started: float
    samples: list[Sample] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    def look(self) -> Sample:
        """One sample more."""
        accepted = self.ledger.accept_one()
        self.samples.append(Sample(time.monotonic() - self.started, accepted, self.ledger.visible()))
        return self.samples[-1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample as long as this is open. Raises at its end what went wrong meanwhile."""
        with ThreadPoolExecutor(1) as thread:
            looking = thread.submit(self._look_until_the_end)
            try:
                yield
            finally:
                self._ending.set()
            looking.result()

    def _look_until_the_end(self) -> None:
        while not self._ending.wait(_EVERY_SECONDS):
            self.look()


def measured(plan: Plan) -> list[Figure]:
    """Load, then wait until everything can be read, and count."""
    home = plan.home()
    with running_standalone(home) as product, httpx.Client(base_url=product.url, timeout=_CALL_SECONDS) as client:
        headers = product.access().bearer() | {"Content-Type": "application/json"}
        ledger = Ledger(client, report_body(plan.body_bytes), headers)
        pid = product.child.process.pid
        sampling = Sampling(ledger, time.monotonic())
        cpu_before = cpu_seconds(pid)
        endpoint = Endpoint(f"{product.url}/api/v1/report", "POST", tuple(headers.items()), ledger.body)
        with sampling.running():
            outcome = steady_load(
                endpoint, connections=CONNECTIONS, seconds=plan.e2e_seconds, per_second=plan.e2e_rate or None
            )
        at_end = sampling.look()
        drained = _await_all(ledger, at_end.accepted)
        cpu, peak = cpu_seconds(pid), peak_mb(pid)
        found = ledger.visible()
    heard = outcome.requests + len(sampling.samples)
    wrong = what_is_wrong(heard, at_end.accepted, found, CONNECTIONS)
    per_report = 1e6 * (cpu - cpu_before) / found if cpu is not None and cpu_before is not None else None
    return [
        _per_second("accepted", at_end.accepted / at_end.at, at_end, per_report, wrong),
        _per_second("visible by the end of the load", at_end.visible / at_end.at, at_end, None, wrong),
        lag_figure(sampling.samples),
        Figure(name=f"{_NAME}: until the rest was visible", unit="s", ours=drained, count=at_end.lag),
        *memory_figure(f"{_NAME}: memory at full load", peak, _MOST_MB),
    ]


@contextmanager
def running_standalone(home: Path) -> Iterator[Standalone]:
    """The product on a new data folder. It must end in good order, unless something went wrong before."""
    product = start_standalone(home)
    try:
        yield product
        product.stop()
    finally:
        product.kill()


def what_is_wrong(heard: int, accepted: int, visible: int, under_way: int) -> str | None:
    """Reports that are lost or doubled; None when there are none. Answers to the last requests may not be heard."""
    if not heard <= accepted <= heard + under_way:
        return f"{accepted} on the log for {heard} accepted"
    return None if visible == accepted else f"{visible} visible of {accepted} accepted"


def lag_figure(samples: Sequence[Sample]) -> Figure:
    """The highest lag of the second half beside that of the first, but at least what comes within a second."""
    middle = samples[-1].at / 2
    first = max((sample.lag for sample in samples if sample.at <= middle), default=0)
    second = max(sample.lag for sample in samples if sample.at > middle)
    within_a_second = samples[-1].accepted / samples[-1].at
    return Figure(
        name=f"{_NAME}: highest lag in the second half",
        unit="reports",
        ours=second,
        limit_name="in the first half, or what came within a second if that is more",
        limit=max(first, within_a_second),
        count=len(samples),
        seconds=samples[-1].at,
        target=_LAG,
    )


def _await_all(ledger: Ledger, accepted: int) -> float:
    """How long it takes until so many are visible, in seconds; at most some minutes are waited."""
    started = time.monotonic()
    while ledger.visible() < accepted and time.monotonic() - started < _DRAIN_SECONDS:
        time.sleep(0.1)
    return time.monotonic() - started


def _per_second(what: str, rate: float, at_end: Sample, cpu_us: float | None, wrong: str | None) -> Figure:
    return Figure(
        name=f"{_NAME}: {what}",
        unit="1/s",
        ours=rate,
        count=at_end.accepted,
        seconds=at_end.at,
        cpu_us=cpu_us,
        target=_RATE,
        wrong=wrong,
    )
