"""One run on a cluster: load, faults while it goes on, an end of the faults, and the verdict."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.cluster import Cluster
from tests.faults.ledger_file import read_ledger
from tests.faults.load import Load, LoadPlan
from tests.faults.proxy import Link
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport
from tests.faults.verdict import Result

CLUSTER_LOAD = LoadPlan(senders=6, per_second=60.0)
"""What two cores carry beside a broker, a store and the reading of everything."""

RECOVERY_SECONDS = 90.0
DRAIN_SECONDS = 120.0
"""For a backlog after crash upon crash, on a machine that load, product and judge share."""

_LOOK_SECONDS = 0.05


class NotRecoveredError(Exception):
    """The product did not come back although what hurt it was gone: a MISMATCH, in the words of its message."""


@dataclass(slots=True)
class Hurting:
    """What a scenario has at hand while the load goes on."""

    context: RunContext
    cluster: Cluster
    load: Load
    slowest_recovery: float = 0.0
    ended_by_themselves: int = 0
    violations: list[str] = field(default_factory=list)

    def pause(self, low: float, high: float) -> None:
        """Let the load go on for a while between these, in seconds."""
        self.load.wait(self.context.random.uniform(low, high))

    def await_acknowledged(self, after: str) -> None:
        """Return once something new is acknowledged: what accepts has recovered."""
        before, began = self.load.acknowledged(), time.monotonic()
        self.await_that(lambda: self.load.acknowledged() > before, f"anything was accepted after {after}")
        self.slowest_recovery = max(self.slowest_recovery, time.monotonic() - began)

    def await_hurt(self, link: Link) -> None:
        """Return once the link has hurt one more."""
        before = link.hurt
        self.await_that(lambda: link.hurt > before, "anything was tried on the link again")

    def await_that(self, is_so: Callable[[], bool], what: str) -> None:
        """Return once it is so; what ends by itself meanwhile is started again."""
        give_up_at = time.monotonic() + RECOVERY_SECONDS
        while not is_so():
            if time.monotonic() > give_up_at:
                raise NotRecoveredError(f"I8 liveness: {RECOVERY_SECONDS:.0f} s went by before {what}")
            self.revive()
            time.sleep(_LOOK_SECONDS)

    def revive(self) -> None:
        """Start what has ended by itself, as an orchestrator does, and say so."""
        for said in self.cluster.revive():
            self.ended_by_themselves += 1
            self.context.fault(f"started again, had ended by itself: {said}", 0)

    @contextmanager
    def reviving(self, seconds: float) -> Iterator[None]:
        """After the block, so many seconds in which what ends by itself is started again."""
        yield
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.revive()
            time.sleep(_LOOK_SECONDS)


Hurt = Callable[[Hurting], None]
"""Does harm and writes each fault into the context's log. When it returns, nothing is broken by it any more."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """How a run on the cluster differs from the others."""

    workers: int = 1
    load: LoadPlan = CLUSTER_LOAD
    may_answer: Collection[int] | None = None  # the only statuses beside 200; None: any
    patience: float = 60.0  # seconds until everything must be visible
    dead_letters: bool = False  # whether there may be any; the oracle judges each all the same
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of services that are not the product's own


def run_on_cluster(context: RunContext, hurt: Hurt, plan: ClusterPlan | None = None) -> RunReport:
    """The verdict on a new cluster that was hurt under load."""
    plan = plan or ClusterPlan()
    with Cluster(context.data, workers=plan.workers, commands=plan.commands) as cluster:
        cluster.start()
        return hurt_and_judge(context, cluster, hurt, plan)


def hurt_and_judge(context: RunContext, cluster: Cluster, hurt: Hurt, plan: ClusterPlan | None = None) -> RunReport:
    """The same on a cluster that runs."""
    plan = plan or ClusterPlan()
    known: list[Hurting] = []

    def hurt_and_heal(load: Load) -> None:
        hurting = Hurting(context, cluster, load)
        known.append(hurting)
        try:
            hurt(hurting)
        except NotRecoveredError as error:
            hurting.violations.append(str(error))
        hurting.revive()
        cluster.await_services()

    report = under_load(context, cluster, hurt_and_heal, plan.load, patience=plan.patience)
    return _completed(report, known[0], plan)


def _completed(report: RunReport, hurting: Hurting, plan: ClusterPlan) -> RunReport:
    """The report with what only a cluster can tell."""
    cluster = hurting.cluster
    statuses = Counter(one.status for one in read_ledger(hurting.context.folder / "ledger.jsonl"))
    found = [*hurting.violations, *_wrong_answers(statuses, plan.may_answer)]
    found += [] if plan.dead_letters else _dead_letters(cluster)
    report.verdict.mismatches += found
    if found and report.verdict.result is Result.PASS:
        report.verdict.result = Result.MISMATCH
    notes: dict[str, Any] = {
        "statuses": {str(status): count for status, count in sorted(statuses.items(), key=str)},
        "on the bus": cluster.accepted(),
        "rows in storage beyond one per id": cluster.stored_again(),
        "slowest recovery s": round(hurting.slowest_recovery, 1),
        "ended by themselves": hurting.ended_by_themselves,
        "assignments": cluster.assignments(),
    }
    return replace(report, notes={**report.notes, **notes})


def _wrong_answers(statuses: Counter[int | None], may_answer: Collection[int] | None) -> list[str]:
    if may_answer is None:
        return []
    wrong = {status: count for status, count in statuses.items() if status not in {200, *may_answer}}
    return [f"P7 overload: clients saw {wrong}, not only 200 and {list(may_answer)}"] if wrong else []


def _dead_letters(cluster: Cluster) -> list[str]:
    """No fault of these scenarios is a fault of the data."""
    count = cluster.dead_letters()
    return [f"I1 loss: {count} dead letters, although no report was at fault"] if count else []
