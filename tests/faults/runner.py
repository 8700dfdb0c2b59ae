"""One run of one scenario: its folder, its seed, its verdict, and what is kept of it."""

import json
import platform
import shutil
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from tests.faults.ledger_file import LedgerFile
from tests.faults.load import Load, LoadPlan
from tests.faults.oracle import Result, Verdict, judge
from tests.faults.scenario import RunContext, RunReport, Scenario, Target
from tests.faults.summary import Line
from tests.faults.watch import Watch

_PARTS = ("llmledger", "chdb", "aiokafka", "faststream", "clickhouse-connect", "litestar", "uvicorn", "msgspec")


def run_scenario(scenario: Scenario, runs: int, seed: int, out: Path, *, short: bool) -> Line:
    """All runs of it, one after the other."""
    line = Line(scenario.name, scenario.title, scenario.control, runs)
    for number in range(1, runs + 1):
        began = time.monotonic()
        context = _context(scenario, number, seed, out, short=short)
        report = _run(scenario, context)
        _keep(context, report)
        line.done += 1
        line.faults += context.injected
        line.counts.add(report.verdict.counts)
        line.results.append(report.verdict.result)
        line.mismatches += [f"run {number}: {what}" for what in report.verdict.mismatches]
        line.seconds += time.monotonic() - began
        line.notes |= {f"{number} {name}": str(value) for name, value in report.notes.items()}
    return line


@runtime_checkable
class Weighed(Protocol):
    """A target that can say how much memory its parts have taken."""

    def memory_mib(self) -> Mapping[str, float]:
        """The most that each part has had in use, in MiB."""


def under_load(
    context: RunContext,
    target: Target,
    hurt: Callable[[Load], None],
    plan: LoadPlan | None = None,
    *,
    patience: float = 60.0,
) -> RunReport:
    """Send load to a started target while `hurt` hurts it; when `hurt` returns the target runs and is well.

    Then settle what is unknown, and judge everything. The target is not stopped.
    """
    with LedgerFile(context.folder / "ledger.jsonl") as ledger:
        load = Load(target, ledger, context.seed, plan)
        watch = Watch(target, load)
        load.start()
        watch.start()
        try:
            hurt(load)
        except BaseException:
            load.abandon()
            raise
        finally:
            watch.stop()
        began = time.monotonic()
        load.stop()
        history = ledger.history()
    settled = time.monotonic()
    verdict = judge(history, target, patience=patience, observed=watch.violations)
    notes: dict[str, Any] = {
        "looks while hurt": watch.looks,
        "settled in s": round(settled - began, 1),
        "judged in s": round(time.monotonic() - settled, 1),
    }
    if isinstance(target, Weighed):
        notes |= {f"MiB {part}": round(size) for part, size in target.memory_mib().items()}
    return RunReport(verdict, notes)


def _context(scenario: Scenario, number: int, seed: int, out: Path, *, short: bool) -> RunContext:
    folder = out / scenario.name / str(number)
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier time with the same OUT
    folder.mkdir(parents=True)
    return RunContext(scenario.name, number, seed * 1000 + number, folder, short)


def _run(scenario: Scenario, context: RunContext) -> RunReport:
    """What the scenario found. One that breaks off has shown nothing: CHECK_ERROR."""
    try:
        return scenario.run(context)
    except Exception as error:  # noqa: BLE001  whatever it was, it is this run's result; the others go on
        (context.folder / "error.txt").write_text(traceback.format_exc())
        return RunReport(Verdict(Result.CHECK_ERROR, [f"the run broke off: {type(error).__name__}: {error}"[:2000]]))


def _keep(context: RunContext, report: RunReport) -> None:
    """What a later look needs; the data folder only after anything but a PASS."""
    known = {
        "scenario": context.scenario,
        "run": context.number,
        "seed": context.seed,
        "versions": versions(),
        "faults": context.injected,
        "verdict": msgspec.to_builtins(report.verdict),
        "notes": dict(report.notes),
    }
    (context.folder / "run.json").write_text(json.dumps(known, indent=1, default=str))
    if report.verdict.result is Result.PASS:
        shutil.rmtree(context.data, ignore_errors=True)


def versions() -> dict[str, str]:
    """Of everything whose version may matter."""
    found = {name: version(name) for name in _PARTS}
    return found | {"python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version, "system": platform.platform()}
