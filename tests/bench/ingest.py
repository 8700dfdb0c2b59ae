"""Accepted reports per second, on each bus, beside an endpoint of the same app that only reads the body."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from tests.bench.bodies import report_body
from tests.bench.figures import Figure
from tests.bench.ingest_server import CONSTANT_PATH, CPU_PATH, REPORT_PATH
from tests.bench.load import Endpoint, steady_load

CONNECTIONS = 64
_WARM_UP_SECONDS = 1.0
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """How long and how large."""

    seconds: float  # per endpoint and round
    rounds: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class _Server:
    url: str
    key: str

    def endpoint(self, path: str, body: bytes) -> Endpoint:
        headers = (("Authorization", f"Bearer {self.key}"), ("Content-Type", "application/json"))
        return Endpoint(f"{self.url}{path}", "POST", headers, body)

    def cpu_seconds(self) -> float:
        return float(json.loads(self._ask("GET", CPU_PATH, b"")[1])["seconds"])

    def accepts(self, body: bytes) -> bool:
        return self._ask("POST", REPORT_PATH, body)[0] == http.client.OK

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        return 1e6 * self.cpu_seconds / self.requests


def measured(name: str, folder: Path, plan: IngestPlan, kafka_servers: str | None = None) -> Figure:
    """Both endpoints in turns, so that what else the machine does falls on both."""
    body = report_body(plan.body_bytes)
    sums = {REPORT_PATH: _Sum(), CONSTANT_PATH: _Sum()}
    with _running(folder, kafka_servers) as server:
        _await_bus(server, body)
        for path in sums:
            steady_load(server.endpoint(path, body), connections=CONNECTIONS, seconds=_WARM_UP_SECONDS)
        for _ in range(plan.rounds):
            for path, total in sums.items():
                _add_one_round(server, server.endpoint(path, body), plan.seconds, total)
    ours, limit = sums[REPORT_PATH], sums[CONSTANT_PATH]
    return Figure(
        name=f"ingest, {name}: reports accepted",
        unit="1/s",
        ours=ours.rate,
        limit_name="the same app, an endpoint that reads the body and answers a constant",
        limit=limit.rate,
        count=ours.requests,
        seconds=ours.seconds,
        cpu_us=ours.cpu_us,
        limit_cpu_us=limit.cpu_us,
    )


def _add_one_round(server: _Server, endpoint: Endpoint, seconds: float, total: _Sum) -> None:
    cpu = server.cpu_seconds()
    outcome = steady_load(endpoint, connections=CONNECTIONS, seconds=seconds)
    total.cpu_seconds += server.cpu_seconds() - cpu
    total.requests += outcome.requests
    total.seconds += outcome.seconds


@contextmanager
def _running(folder: Path, kafka_servers: str | None) -> Iterator[_Server]:
    folder.mkdir()
    kafka = ["--kafka", kafka_servers, f"bench-{uuid4().hex[:12]}"] if kafka_servers else []
    command = [sys.executable, "-m", "tests.bench.ingest_server", str(folder), *kafka]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield _Server(said["url"], said["key"])
        finally:
            process.terminate()


def _await_bus(server: _Server, body: bytes) -> None:
    """Return once a report is accepted: the listener is bound before the service answers, and before Kafka is there."""
    give_up_at = time.monotonic() + _READY_SECONDS
    while not server.accepts(body):
        if time.monotonic() > give_up_at:
            raise TimeoutError("The service accepts nothing.")
        time.sleep(0.1)
