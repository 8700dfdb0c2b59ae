"""The standalone product, killed and stopped at random moments: its one process is ingest and worker both."""

import signal
from functools import partial

from tests.faults.load import Load
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.standalone import PART, StandaloneTarget

_ROUNDS = 10
_SHORT_ROUNDS = 3
_LONGEST_SECONDS = 2.0  # between two faults
_END_SECONDS = 40.0
_PATIENCE = 120.0  # seconds: load, product and judge share the machine


def _kills(context: RunContext) -> RunReport:
    return _hurt_again_and_again(context, signal.SIGKILL)


def _stops(context: RunContext) -> RunReport:
    return _hurt_again_and_again(context, signal.SIGTERM, signal.SIGINT)


def _hurt_again_and_again(context: RunContext, *signals: signal.Signals) -> RunReport:
    target = StandaloneTarget(context.data)
    try:
        target.start()
        return under_load(context, target, partial(_rounds, context, target, signals), patience=_PATIENCE)
    finally:
        target.close()


def _rounds(context: RunContext, target: StandaloneTarget, signals: tuple[signal.Signals, ...], load: Load) -> None:
    for turn in range(_SHORT_ROUNDS if context.short else _ROUNDS):
        load.wait(context.random.uniform(0.05, _LONGEST_SECONDS))
        number = signals[turn % len(signals)]
        target.signal(PART, number)
        code = target.wait_ended(PART, _END_SECONDS)
        context.fault(f"{number.name}: exit {code}")
        if number is not signal.SIGKILL and code != 0:
            raise RuntimeError(f"exit {code} after {number.name}\n{target.messages()[-4000:]}")
        target.restart(PART)


SCENARIOS = (
    Scenario("standalone-kill", "kill -9 of the one process at random, 10 in a run", 5, 1, False, _kills),
    Scenario("standalone-stop", "SIGTERM and SIGINT under load, 10 in a run", 2, 0, False, _stops),
)
