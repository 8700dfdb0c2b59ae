"""What is made of a run: its folder, its result, the table, the exit code; and the ledger that it is judged by."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.ledger_file import LedgerFile, read_ledger
from tests.faults.runner import run_scenario
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.summary import Line, exit_code, write_summary
from tests.faults.test_oracle import a_report
from tests.faults.verdict import Counts, Result, Verdict


def a_scenario(result: Result | None, *, control: bool = False) -> Scenario:
    """One that ends so, after one fault; None: it breaks off."""

    def run(context: RunContext) -> RunReport:
        context.data.mkdir()
        context.fault("killed nothing")
        if result is None:
            raise RuntimeError("broken off")
        return RunReport(Verdict(result, [], Counts(acknowledged=5)))

    return Scenario("made-up", "A made-up one", 2, 1, control, run)


def line_of(scenario: Scenario, folder: Path) -> Line:
    """All its runs."""
    return run_scenario(scenario, scenario.runs, 7, folder, short=False)


def test_runs_are_added_up(tmp_path: Path) -> None:
    line = line_of(a_scenario(Result.PASS), tmp_path)
    assert (line.result, line.done, line.faults, line.counts.acknowledged) == ("PASS", 2, 2, 10)


def test_a_run_keeps_its_seed_its_faults_and_the_versions(tmp_path: Path) -> None:
    line_of(a_scenario(Result.PASS), tmp_path)
    kept = json.loads((tmp_path / "made-up" / "2" / "run.json").read_text())
    assert (kept["seed"], kept["faults"], kept["verdict"]["result"]) == (7002, 1, "PASS")
    assert "chdb" in kept["versions"]
    assert "killed nothing" in (tmp_path / "made-up" / "2" / "faults.jsonl").read_text()


@pytest.mark.parametrize(("result", "kept"), [(Result.PASS, False), (Result.MISMATCH, True), (None, True)])
def test_data_are_kept_after_anything_but_a_pass(result: Result | None, kept: bool, tmp_path: Path) -> None:
    line_of(a_scenario(result), tmp_path)
    assert (tmp_path / "made-up" / "1" / "data").exists() is kept


def test_a_run_that_breaks_off_has_shown_nothing(tmp_path: Path) -> None:
    line = line_of(a_scenario(None), tmp_path)
    assert (line.result, exit_code([line])) == ("CHECK_ERROR", 2)
    assert "broken off" in (tmp_path / "made-up" / "1" / "error.txt").read_text()


@pytest.mark.parametrize(
    ("result", "control", "code"),
    [
        (Result.PASS, False, 0),
        (Result.MISMATCH, False, 1),
        (Result.CHECK_ERROR, False, 2),
        (Result.MISMATCH, True, 0),
        (Result.PASS, True, 1),
        (Result.CHECK_ERROR, True, 2),
    ],
)
def test_a_control_must_fail_and_everything_else_must_not(
    result: Result, control: bool, code: int, tmp_path: Path
) -> None:
    assert exit_code([line_of(a_scenario(result, control=control), tmp_path)]) == code


def test_nothing_run_is_nothing_shown() -> None:
    assert exit_code([]) == 2


def test_the_summary_names_every_scenario_and_its_result(tmp_path: Path) -> None:
    write_summary([line_of(a_scenario(Result.PASS), tmp_path)], tmp_path)
    assert "| made-up | A made-up one | 2/2 |" in (tmp_path / "summary.md").read_text()
    (line,) = json.loads((tmp_path / "summary.json").read_text())
    assert (line["scenario"], line["result"]) == ("made-up", "PASS")


def test_the_ledger_file_holds_every_line_that_was_written(tmp_path: Path) -> None:
    lines = [replace(a_report(number), expects={}) for number in range(200)]
    with LedgerFile(tmp_path / "ledger.jsonl") as ledger:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(ledger.write, lines))
        assert sorted(ledger.history(), key=lambda one: one.number) == lines
    assert sorted(read_ledger(tmp_path / "ledger.jsonl"), key=lambda one: one.number) == lines
