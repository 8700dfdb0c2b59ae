"""The roles of a fault run: the product that is hurt, the scenario that hurts it, and what a run knows of itself."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol, runtime_checkable

from tests.faults.verdict import Verdict

PROJECTS = ("alpha", "beta")
"""The two projects that every run writes to."""


@runtime_checkable
class Target(Protocol):
    """A product that runs and can be hurt. Its parts: standalone, ingest-api, workers, query-api, kafka, clickhouse."""

    @property
    def url(self) -> str:
        """Ingest and query behind one address, without a slash at its end; the same over all restarts."""

    def key(self, project: str) -> str:
        """A key of this project with the scopes ingest and query."""

    def admin_key(self) -> str:
        """A key of project `*` with the scope admin."""

    def start(self) -> None:
        """Start everything and wait until it is ready."""

    def stop(self) -> None:
        """End everything in good order. Raises when something does not end so."""

    def close(self) -> None:
        """End everything at once, whatever state it is in; called last, also after `stop`."""

    def kill(self, part: str) -> None:
        """SIGKILL by process id; returns when it has ended. An ended part stays as it is."""

    def signal(self, part: str, number: int) -> None:
        """Send it this signal and return at once."""

    def restart(self, part: str, failpoints: str = "") -> None:
        """Start an ended part, with these failpoints, and wait until it is ready; one that failpoints end may end."""

    def wait_ended(self, part: str, seconds: float) -> int:
        """Its exit code (negative: the signal) once it has ended. Raises `TimeoutError`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the product."""

    at: float  # seconds since the run began
    what: str
    count: int = 1


@dataclass(slots=True)
class RunContext:
    """One run: its seed, its folder, and the log of what it did, written as it goes."""

    scenario: str
    number: int  # of the run, from 1
    seed: int
    folder: Path  # OUT/<scenario>/<number>; the ledger file and the fault log are kept here
    short: bool = False
    faults: list[Fault] = field(default_factory=list)
    random: Random = field(init=False)
    _began: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        """Everything random in a run comes from its seed."""
        self.random = Random(self.seed)

    @property
    def data(self) -> Path:
        """Where the product's data go: removed after a PASS."""
        return self.folder / "data"

    def fault(self, what: str, count: int = 1) -> None:
        """Say what was done just now. `count`: how many faults it was; 0 for a remark that is none."""
        self.faults.append(Fault(time.monotonic() - self._began, what, count))
        with (self.folder / "faults.jsonl").open("a") as file:
            file.write(json.dumps({"at": round(self.faults[-1].at, 3), "what": what, "count": count}) + "\n")

    @property
    def injected(self) -> int:
        """How many faults there were so far."""
        return sum(fault.count for fault in self.faults)


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended. `notes` are figures that are reported and not judged."""

    verdict: Verdict
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of fault and how often it is run. A `control` is a broken product: its run must end in MISMATCH."""

    name: str  # a folder's name too
    title: str
    runs: int
    short_runs: int  # of the short selection; 0: not part of it
    control: bool
    run: Callable[[RunContext], RunReport]
