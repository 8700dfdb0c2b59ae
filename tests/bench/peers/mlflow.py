"""MLflow as its quick start has it: `mlflow server` with its default store (SQLite), workers and job runner."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.peers.asking import Question, ask
from tests.bench.peers.calls import LlmCall
from tests.bench.peers.environment import locked_version, programs
from tests.bench.peers.otlp import export
from tests.bench.peers.ports import free_port
from tests.bench.peers.processes import started, tree
from tests.bench.peers.system import PAGE_ROWS, Page, Server, System

_JSON = (("Content-Type", "application/json"),)
_EXPERIMENT = "0"  # the one that is there from the start
_PROTOBUF = (("Content-Type", "application/x-protobuf"), ("x-mlflow-experiment-id", _EXPERIMENT))
_NOTHING_LEAVES = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_JOBS_VARIABLE = b"_MLFLOW_HUEY_STORAGE_PATH="
_COUNT = {
    "experiment_ids": [_EXPERIMENT],
    "view_type": "TRACES",
    "metric_name": "trace_count",
    "aggregations": [{"aggregation_type": "COUNT"}],
}
_NEWEST = {
    "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": _EXPERIMENT}}],
    "max_results": PAGE_ROWS,
    "order_by": ["timestamp_ms DESC"],
}


def system(root: Path, say: Callable[[str], None]) -> System:
    """MLflow, installed under this folder. Raises `NotInstalled`."""
    command = programs(root, "mlflow", say) / "mlflow"
    return System("MLflow", locked_version("mlflow", "mlflow"), partial(_running, command))


@dataclass(frozen=True, slots=True)
class _Mlflow:
    url: str
    pid: int

    @property
    def pages(self) -> Sequence[Page]:
        shows = (b'\\"total_tokens\\": 780', b'"request_preview":"The quick', b'"response_preview":"The quick')
        return (Page("traces with previews", _question("search", _NEWEST), b'"trace_location"', shows),)

    def export(self, calls: Sequence[LlmCall]) -> Question:
        return Question("POST", "/v1/traces", _PROTOBUF, export(calls))

    def count(self) -> int:
        """Ask its metrics of traces; without any trace there is no data point."""
        points = json.loads(ask(self.url, _question("metrics", _COUNT))).get("data_points", [])
        return sum(int(point["values"]["COUNT"]) for point in points)


@contextmanager
def _running(command: Path, folder: Path) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [str(command), "server", "--host", "127.0.0.1", "--port", str(port)]
    with started(arguments, folder, _NOTHING_LEAVES, f"{url}/health") as pid:
        left_behind = _job_folders(pid)
        try:
            yield _Mlflow(url, pid)
        finally:
            left_behind |= _job_folders(pid)
    for jobs in left_behind:
        shutil.rmtree(jobs, ignore_errors=True)


def _question(name: str, content: object) -> Question:
    return Question("POST", f"/api/3.0/mlflow/traces/{name}", _JSON, json.dumps(content).encode())


def _job_folders(pid: int) -> set[Path]:
    """Where its job runner keeps its queues: in shared memory, and it never removes them."""
    found: set[Path] = set()
    for each in tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            variables = Path(f"/proc/{each}/environ").read_bytes().split(b"\0")
            found |= {Path(name.partition(b"=")[2].decode()) for name in variables if name.startswith(_JOBS_VARIABLE)}
    return found
