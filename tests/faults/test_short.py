"""The short selection of the fault scenarios: real processes that are really killed, one judgement each."""

from pathlib import Path

import pytest

from tests.faults.__main__ import scenarios
from tests.faults.runner import run_scenario
from tests.faults.scenario import Scenario
from tests.faults.summary import FAILED_AS_IT_MUST
from tests.faults.verdict import Result

pytestmark = pytest.mark.slow

SEED = 20_26
_NAMES = ("standalone-kill", "windows-in-a-row")
_CONTROL = next(one for one in scenarios() if one.name == "control-patches-after-rows")
_SHORT = [one for one in scenarios() if one.name in _NAMES]


@pytest.mark.parametrize("scenario", _SHORT, ids=[one.name for one in _SHORT])
def test_nothing_is_lost_and_nothing_is_shown_twice(scenario: Scenario, tmp_path: Path) -> None:
    line = run_scenario(scenario, 1, SEED, tmp_path, short=True)
    assert line.result == Result.PASS.value, line.mismatches
    assert line.faults >= 3
    assert line.counts.acknowledged > 0


def test_a_product_whose_patches_come_too_late_does_not_pass(tmp_path: Path) -> None:
    line = run_scenario(_CONTROL, 1, SEED, tmp_path, short=True)
    assert line.result == FAILED_AS_IT_MUST
    assert {what.split(": ")[1] for what in line.mismatches} == {"I4 order"}, line.mismatches


def test_every_scenario_has_a_name_of_its_own() -> None:
    names = [one.name for one in scenarios()]
    assert len(set(names)) == len(names) > 10
