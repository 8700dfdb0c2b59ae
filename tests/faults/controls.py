"""Negative controls: products that break one rule, under the fault that reveals it. Each must end in MISMATCH."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.faults.cluster_run import ClusterPlan, Hurting, run_on_cluster
from tests.faults.late_retries import retry_late
from tests.faults.load import Load, LoadPlan
from tests.faults.power_cut import cut_power
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.standalone import PART, StandaloneTarget

_ROOT = Path(__file__).parents[2]
_PATIENCE = 12.0
_SHORT_PATIENCE = 4.0  # of the one control of the short selection, which sends next to nothing
_SHORT = "patches-after-rows"
_END_SECONDS = 60.0

Hurt = Callable[["Control", RunContext, StandaloneTarget, Load], None]


@dataclass(frozen=True, slots=True)
class Control:
    """A variant, what reveals it, and the load that makes it certain."""

    name: str  # of the variant
    title: str
    hurt: Hurt
    failpoints: str = ""
    plan: LoadPlan = field(default_factory=LoadPlan)
    settings: Mapping[str, str] = field(default_factory=dict)


def variant(folder: Path, name: str, settings: Mapping[str, str] | None = None) -> StandaloneTarget:
    """The product in this variant; not started."""
    command = (sys.executable, "-m", "tests.faults.variants", name)
    return StandaloneTarget(folder, command, {"PYTHONPATH": str(_ROOT), **(settings or {})})


def _run(control: Control, context: RunContext) -> RunReport:
    target = variant(context.data, control.name, control.settings)
    try:
        target.start()
        hurt = partial(control.hurt, control, context, target)
        return under_load(context, target, hurt, control.plan, patience=_SHORT_PATIENCE if context.short else _PATIENCE)
    finally:
        target.close()


def _time_alone(control: Control, context: RunContext, target: StandaloneTarget, load: Load) -> None:
    """No fault is needed."""
    load.wait(8.0)
    context.fault("nothing but load")


def _crash_at_the_window(control: Control, context: RunContext, target: StandaloneTarget, load: Load) -> None:
    """Run into the failpoint, three times."""
    load.wait(1.0)
    target.kill(PART)
    for _ in range(3):
        target.restart(PART, control.failpoints)
        code = target.wait_ended(PART, _END_SECONDS)
        if code != -signal.SIGKILL:
            raise RuntimeError(f"exit {code} before {control.failpoints}\n{target.messages()[-2000:]}")
        context.fault(control.failpoints)
    target.restart(PART)


def _restart(control: Control, context: RunContext, target: StandaloneTarget, load: Load) -> None:
    for _ in range(2):
        load.wait(1.5)
        target.kill(PART)
        context.fault("SIGKILL")
        target.restart(PART)
    load.wait(1.0)


def _late_retries(control: Control, context: RunContext, target: StandaloneTarget, load: Load) -> None:
    retry_late(context, target, load, control.failpoints)


def _power_cut(context: RunContext) -> RunReport:
    return cut_power(context, lambda home: variant(home, "synchronous-normal"), cuts=1)


def _keyless(context: RunContext) -> RunReport:
    """Two workers, an `ingest-api` without regard to keys, and nothing but load."""

    def hurt(hurting: Hurting) -> None:
        hurting.pause(8.0, 8.0)
        context.fault("nothing but load")

    return run_on_cluster(context, hurt, _KEYLESS)


_KEYLESS = ClusterPlan(
    workers=2,
    load=LoadPlan(per_second=80.0, updates=0.7, apis=("log",)),
    patience=_PATIENCE,
    commands={"ingest-api": (sys.executable, "-m", "tests.faults.keyless")},
)
_CALM = LoadPlan(senders=1, per_second=2.0, batches=0.0)  # the log is read to its end between two reports
_UPDATES = LoadPlan(per_second=300.0, updates=0.6)
_DEAD_LETTERS = LoadPlan(reused_keys=0.4)

CONTROLS = (
    Control("commit-before-insert", "progress before the write", _crash_at_the_window, "B1:kill@3"),
    Control(
        "fold-ahead",
        "a chunk is folded before the one before it is written",
        _time_alone,
        plan=_UPDATES,
        settings={"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "1"},
    ),
    Control("newest-price", "priced by the newest book, not by the stamped one", _restart),
    Control(
        "dead-letter-unawaited",
        "progress before the dead letter is kept",
        _crash_at_the_window,
        "C5:kill@4",
        _DEAD_LETTERS,
    ),
    Control(
        "patches-after-rows",
        "patches after the rows and after the progress, and a late retry",
        _late_retries,
        "C5",
        LoadPlan(senders=0),
        {"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "1"},  # all first updates are accepted before the first batch of them
    ),
    Control(
        "plain-rowid",
        "an emptied log counts from 1 again",
        _time_alone,
        plan=_CALM,
        settings={"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "0.01"},
    ),
    Control("identity-without-id", "rows are told apart by project and time alone", _time_alone),
)

SCENARIOS = (
    *(
        Scenario(f"control-{one.name}", one.title, 1, int(one.name == _SHORT), True, partial(_run, one))
        for one in CONTROLS
    ),
    Scenario("control-synchronous-normal", "a log without fsync, and a power cut", 1, 0, True, _power_cut),
    Scenario("control-keyless-partitions", "the events of a record in any partitions", 1, 0, True, _keyless),
)
