"""Arize Phoenix as its quick start has it: one process, SQLite in its working folder, no authentication."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.peers.asking import Question, ask
from tests.bench.peers.calls import LlmCall
from tests.bench.peers.environment import locked_version, programs
from tests.bench.peers.otlp import export
from tests.bench.peers.ports import free_port
from tests.bench.peers.processes import started
from tests.bench.peers.system import PAGE_ROWS, Page, Server, System

_JSON = (("Content-Type", "application/json"),)
_PROTOBUF = (("Content-Type", "application/x-protobuf"),)
_PROJECT = "default"
_COUNT = "query($name: String!, $range: TimeRange) { getProjectByName(name: $name) { recordCount(timeRange: $range) } }"
_NOTHING_LEAVES = {"PHOENIX_TELEMETRY_ENABLED": "false", "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false"}


def system(root: Path, say: Callable[[str], None]) -> System:
    """Phoenix, installed under this folder. Raises `NotInstalled`."""
    command = programs(root, "phoenix", say) / "phoenix"
    return System("Phoenix", locked_version("phoenix", "arize-phoenix"), partial(_running, command))


@dataclass(slots=True)
class _Phoenix:
    url: str
    pid: int
    asked: int = 0

    @property
    def pages(self) -> Sequence[Page]:
        path = f"/v1/projects/{_PROJECT}/spans?limit={PAGE_ROWS}&sort=start_time&order=desc"
        shows = (b'"llm.token_count.total":780', b'"input.value":"{', b'"output.value":"{')
        return (Page("spans with whole texts", Question("GET", path), b'"span_kind":"LLM"', shows),)

    def export(self, calls: Sequence[LlmCall]) -> Question:
        return Question("POST", "/v1/traces", _PROTOBUF, export(calls))

    def count(self) -> int:
        """Ask as its UI does. Counts are kept per range of time, so each is asked for another one."""
        self.asked += 1
        span = {"start": "2000-01-01T00:00:00Z", "end": f"{2100 + self.asked}-01-01T00:00:00Z"}
        body = json.dumps({"query": _COUNT, "variables": {"name": _PROJECT, "range": span}}).encode()
        answer = json.loads(ask(self.url, Question("POST", "/graphql", _JSON, body)))
        return int(answer["data"]["getProjectByName"]["recordCount"])


@contextmanager
def _running(command: Path, folder: Path) -> Iterator[Server]:
    port = free_port()
    settings = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        **_NOTHING_LEAVES,
    }
    url = f"http://127.0.0.1:{port}"
    with started([str(command), "serve"], folder, settings, f"{url}/healthz") as pid:
        yield _Phoenix(url, pid)
