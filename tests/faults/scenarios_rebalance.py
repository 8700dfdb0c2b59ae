"""A storm of rebalances: three workers come, go, die and freeze, while the order of updates matters."""

from dataclasses import replace
from signal import SIGTERM

from tests.faults.cluster_run import (
    CLUSTER_LOAD,
    DRAIN_SECONDS,
    ClusterPlan,
    Hurting,
    NotRecoveredError,
    run_on_cluster,
)
from tests.faults.scenario import RunContext, RunReport, Scenario

_END_SECONDS = 60.0
_WAYS = ("stop", "kill", "freeze")


def storm(context: RunContext) -> RunReport:
    """Every few seconds one worker leaves the group in some way, or comes back to it."""
    away: dict[str, str] = {}

    def hurt(hurting: Hurting) -> None:
        for _ in range(6 if context.short else 26):
            hurting.pause(1.5, 4.0)
            if away and (len(away) == len(hurting.cluster.workers) - 1 or context.random.random() < 0.5):
                name = context.random.choice(sorted(away))
                _bring_back(hurting, name, away.pop(name))
            else:
                name = context.random.choice([name for name in hurting.cluster.workers if name not in away])
                away[name] = context.random.choice(_WAYS)
                _take_away(hurting, name, away[name])
        for name, way in away.items():
            _bring_back(hurting, name, way)

    load = replace(CLUSTER_LOAD, updates=0.5)
    return run_on_cluster(context, hurt, ClusterPlan(3, load, patience=DRAIN_SECONDS))


def _take_away(hurting: Hurting, name: str, way: str) -> None:
    part = hurting.cluster.parts[name]
    hurting.context.fault(f"{way} {name}")
    if way == "kill":
        part.kill()
    elif way == "freeze":
        part.freeze()
    else:
        had_begun = part.ready()
        part.signal(SIGTERM)
        code = part.wait_ended(_END_SECONDS)
        if code != 0 and (had_begun or code != -SIGTERM):  # before Python has imported us, nobody is there to obey
            raise NotRecoveredError(f"P2: {name} ended with {code} after SIGTERM")


def _bring_back(hurting: Hurting, name: str, way: str) -> None:
    part = hurting.cluster.parts[name]
    hurting.context.fault(f"{name} comes back")
    if way == "freeze":
        part.thaw()
    else:
        part.start()


SCENARIOS = (Scenario("rebalance-storm", "three workers stop, die, freeze and return", 2, 0, control=False, run=storm),)
