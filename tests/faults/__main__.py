"""Runs fault scenarios and prints one table: `python -m tests.faults`, `--list` for what there is."""

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir

from tests.faults.runner import run_scenario
from tests.faults.scenario import Scenario
from tests.faults.summary import Line, exit_code, markdown, write_summary

MODULES = (
    "scenarios_standalone",
    "scenarios_crash_windows",
    "scenarios_workers",
    "scenarios_kafka",
    "scenarios_clickhouse",
    "scenarios_rebalance",
    "scenarios_disk",
    "scenarios_poison",
    "scenarios_kafka_poison",
    "scenarios_updates",
    "controls",
)


def scenarios() -> tuple[Scenario, ...]:
    """Every scenario there is, in the order in which they are run."""
    names = [f"tests.faults.{name}" for name in MODULES]
    found = [import_module(name) for name in names if find_spec(name)]
    return tuple(scenario for module in found for scenario in module.SCENARIOS)


def main(options: argparse.Namespace) -> int:
    """Run what was asked for; the exit code."""
    chosen = _chosen(options)
    if options.list:
        _say("\n".join(f"{one.name:32} {one.runs:4} {one.short_runs:3}  {one.title}" for one in chosen))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    for scenario in chosen:
        runs = options.runs or (max(1, scenario.short_runs) if options.short else scenario.runs)
        line = run_scenario(scenario, runs, options.seed, options.out, short=options.short)
        lines.append(line)
        _note(f"{line.scenario:32} {line.result:18} {line.faults:4} faults  {line.seconds:6.1f} s")
        write_summary(lines, options.out)  # what was measured stays when the rest breaks off
    _say(markdown(lines))
    _say(f"seed {options.seed}, kept in {options.out}")
    return exit_code(lines)


def _chosen(options: argparse.Namespace) -> Sequence[Scenario]:
    known = scenarios()
    wanted = set(options.only or ())
    unknown = wanted - {one.name for one in known}
    if unknown:
        raise SystemExit(f"There is no scenario {', '.join(sorted(unknown))}: --list names them.")
    chosen = [one for one in known if not wanted or one.name in wanted]
    return [one for one in chosen if one.short_runs or one.name in wanted or not options.short]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these scenarios")
    parser.add_argument("--short", action="store_true", help="the short selection")
    parser.add_argument("--runs", type=int, help="of each scenario, in place of its own number")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what everything random comes from")
    parser.add_argument("--out", type=Path, default=Path(gettempdir()) / "llmledger-faults", help="what is kept")
    parser.add_argument("--list", action="store_true", help="name the scenarios, with their runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_options()))
