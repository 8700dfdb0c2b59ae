"""Every named crash window: the process ends itself with kill -9 at its k-th passing, again and again under load.

One run has several crashes on the same data, each at another k, and one judgement at its end. A window that is not
reached in time makes the run a CHECK_ERROR: nothing was shown of it.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ledger.failpoints import WINDOWS
from tests.faults.cluster import Cluster
from tests.faults.cluster_run import CLUSTER_LOAD
from tests.faults.load import Load, LoadPlan
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport, Scenario, Target
from tests.faults.standalone import PART, StandaloneTarget

_ROOT = Path(__file__).parents[2]
_ROUNDS = 10
_SHORT_ROUNDS = 2
_TRIES = 8
_PATIENCE = 120.0  # seconds: load, product and judge share the machine
_END_SECONDS = 60.0
_DEAD_LETTERS = 0.3
"""The share of keys of one project that are used again with another body where dead letters are wanted."""


@dataclass(frozen=True, slots=True)
class Window:
    """A failpoint of one part, and up to which passing it may act."""

    name: str
    part: str
    most: int
    make: Callable[[Path], Target]
    plan: LoadPlan
    provoke: Callable[[RunContext, Target, Load], None] | None = None  # what makes the part pass it


def _run(window: Window, context: RunContext) -> RunReport:
    return _crash(context, window.make, [window] * (_SHORT_ROUNDS if context.short else _ROUNDS), window.plan)


def _in_a_row(context: RunContext) -> RunReport:
    """Another window each time, on the same data."""
    chosen = [window for window in STANDALONE if window.plan is _PLAN and (not context.short or window.name in _SHORT)]
    context.random.shuffle(chosen)
    return _crash(context, _pruning, chosen, _PLAN)


def _while_deleting(context: RunContext) -> RunReport:
    """The windows that a deletion goes through, each met twice on the same data."""
    chosen = list(_OF_DELETIONS) * (1 if context.short else 2)
    context.random.shuffle(chosen)
    return _crash(context, _standalone, chosen, _WITH_DELETIONS)


def _crash(context: RunContext, make: Callable[[Path], Target], turns: Sequence[Window], plan: LoadPlan) -> RunReport:
    target = make(context.data)
    try:
        target.start()
        return under_load(context, target, partial(_rounds, context, target, turns), plan, patience=_PATIENCE)
    finally:
        target.close()


def _rounds(context: RunContext, target: Target, turns: Sequence[Window], load: Load) -> None:
    part = turns[0].part
    target.kill(part)
    for window in turns:
        for _ in range(_TRIES):
            at = context.random.randint((window.most + 1) // 2, window.most)
            if _crashed(context, target, window, at, load):
                context.fault(f"{part} ended at {window.name}, passing {at}")
                break
            context.fault(f"{part} ended in good order before {window.name}", 0)
        else:
            raise RuntimeError(f"{window.name} was not reached in {_TRIES} tries")
    target.restart(part)


def _crashed(context: RunContext, target: Target, window: Window, at: int, load: Load) -> bool:
    """Whether the window was met; a part that was asked to end may have ended before."""
    target.restart(window.part, f"{window.name}:kill@{at}")
    if window.provoke is not None:
        window.provoke(context, target, load)
    code = target.wait_ended(window.part, _END_SECONDS)
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{window.part} ended with exit {code} before {window.name}")
    return code != 0


def _stop(context: RunContext, target: Target, load: Load) -> None:
    load.wait(context.random.uniform(0.5, 1.0))
    target.signal(PART, signal.SIGTERM)


def _stop_worker(context: RunContext, target: Target, load: Load) -> None:
    load.wait(context.random.uniform(2.0, 4.0))
    target.signal("workers", signal.SIGTERM)


def _rebalance(context: RunContext, target: Target, load: Load) -> None:
    """Another worker joins the group: everybody's partitions are taken away first."""
    target.kill("workers-2")
    target.restart("workers-2")


def _standalone(folder: Path) -> Target:
    return StandaloneTarget(folder)


def _lingering(folder: Path) -> Target:
    """Its batches fill for seconds, so that one is at hand when it is asked to end."""
    return StandaloneTarget(folder, settings={"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "3"})


def _pruning(folder: Path) -> Target:
    command = (sys.executable, "-m", "tests.faults.quick_pruning")
    return StandaloneTarget(folder, command, {"PYTHONPATH": str(_ROOT)})


def _cluster(folder: Path) -> Target:
    return Cluster(folder)


def _two_workers(folder: Path) -> Target:
    return Cluster(folder, workers=2)


_PLAN = LoadPlan(per_second=150.0)
_WITH_DEAD_LETTERS = replace(_PLAN, reused_keys=_DEAD_LETTERS)
_WITH_DELETIONS = replace(_PLAN, per_second=100.0, deletions=0.1)
_REQUESTS, _RECORDS, _COMMITS, _BATCHES, _PRUNINGS = 240, 400, 120, 3, 16
"""Up to which passing, from half of it on: so many go by in about two seconds. Crash upon crash before the first batch
is through makes the product look for its cause among the records, which is not what is tested here."""
_WRITES, _NOTES = 20, 10
"""The same where users are deleted, for which a batch is written in many parts."""

STANDALONE = (
    Window("A0", PART, _REQUESTS, _standalone, _PLAN),
    Window("A1", PART, _REQUESTS, _standalone, _PLAN),
    Window("A3", PART, _REQUESTS, _standalone, _PLAN),
    Window("B0", PART, _RECORDS, _standalone, _PLAN),
    Window("B1", PART, _BATCHES, _standalone, _PLAN),
    Window("B2.deletions", PART, _NOTES, _standalone, _WITH_DELETIONS),
    Window("B2.keys", PART, _BATCHES, _standalone, _PLAN),
    Window("B2.patches", PART, _BATCHES, _standalone, _PLAN),
    Window("B2.blobs", PART, 3 * _BATCHES, _standalone, _PLAN),
    Window("B2.bodies", PART, _BATCHES, _standalone, _PLAN),
    Window("B3", PART, _BATCHES, _standalone, _PLAN),
    Window("B5", PART, _BATCHES, _standalone, _WITH_DEAD_LETTERS),
    Window("B7", PART, 1, _lingering, _PLAN, _stop),
    Window("C1", PART, _COMMITS, _standalone, _PLAN),
    Window("C2", PART, _COMMITS, _standalone, _PLAN),
    Window("C3", PART, _BATCHES, _standalone, _PLAN),
    Window("C4", PART, _BATCHES, _standalone, _PLAN),
    Window("C5", PART, _BATCHES, _standalone, _PLAN),
    Window("C6", PART, _PRUNINGS, _pruning, _PLAN),
)

_KAFKA_PLAN = CLUSTER_LOAD
KAFKA = (
    Window("A2", "ingest-api", 40, _cluster, _KAFKA_PLAN),
    Window("A3", "ingest-api", 40, _cluster, _KAFKA_PLAN),
    Window("B1", "workers", 2, _cluster, _KAFKA_PLAN),
    Window("B2.deletions", "workers", _NOTES, _cluster, replace(_KAFKA_PLAN, deletions=0.1)),
    Window("B2.keys", "workers", 2, _cluster, _KAFKA_PLAN),
    Window("B2.bodies", "workers", 2, _cluster, _KAFKA_PLAN),
    Window("B3", "workers", 2, _cluster, _KAFKA_PLAN),
    Window("B4", "workers", 2, _cluster, _KAFKA_PLAN),
    Window("B5", "workers", 2, _cluster, replace(_KAFKA_PLAN, reused_keys=_DEAD_LETTERS)),
    Window("B6", "workers", 1, _two_workers, _KAFKA_PLAN, _rebalance),
    Window("B7", "workers", 1, _cluster, _KAFKA_PLAN, _stop_worker),
)

_OF_DELETIONS = (
    Window("B1", PART, _WRITES, _standalone, _WITH_DELETIONS),
    Window("B2.deletions", PART, _NOTES, _standalone, _WITH_DELETIONS),
    Window("B2.patches", PART, _WRITES, _standalone, _WITH_DELETIONS),
    Window("B2.bodies", PART, _WRITES, _standalone, _WITH_DELETIONS),
    Window("B3", PART, _BATCHES, _standalone, _WITH_DELETIONS),
    Window("C4", PART, _BATCHES, _standalone, _WITH_DELETIONS),
)
_SHORT = frozenset({"A3", "B2.bodies", "B3", "C2", "C4", "C6"})


def _scenario(window: Window, prefix: str) -> Scenario:
    title = f"kill -9 at {window.name}: {WINDOWS[window.name]}"
    return Scenario(f"{prefix}-{window.name}", title, 1, 0, False, partial(_run, window))


SCENARIOS = (
    Scenario("windows-in-a-row", "kill -9 at one crash window after the other", 1, 1, False, _in_a_row),
    Scenario("deletes-killed", "kill -9 wherever a deletion is under way", 2, 0, False, _while_deleting),
    *(_scenario(window, "window") for window in STANDALONE),
    *(_scenario(window, "kafka-window") for window in KAFKA),
)
