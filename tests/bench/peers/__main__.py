"""Starts each system on an empty folder for each way of sending, one after the other, and prints two tables."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.machine import facts
from tests.bench.peers import ledger, mlflow, phoenix
from tests.bench.peers.asking import Refused
from tests.bench.peers.environment import NotInstalled
from tests.bench.peers.measuring import Listed, Plan, Stored, measured
from tests.bench.peers.processes import NotStarted
from tests.bench.peers.system import System
from tests.bench.peers.table import listed_table, stored_table

_SYSTEMS = ("ledger", "phoenix", "mlflow")
_ENVIRONMENTS = Path(".cache") / "bench-peers"
Results = tuple[list[Stored], list[Listed]]

_CAUTION = """\
"acknowledged" is not the same promise: LLM Ledger has written the call to disk (fsync), MLflow has committed it to its
database, Phoenix has it in memory. Read docs/benchmarks.md for what is alike and what is not. Single runs are noisy."""


def main(options: argparse.Namespace) -> int:
    """Measure and print; 1 when a system could not be measured, or ours had acknowledged what was not found."""
    started = time.monotonic()
    plan = Plan(
        calls=options.calls,
        body_bytes=options.body_bytes,
        connections=options.connections,
        seconds=options.seconds,
        storing_seconds=options.storing_seconds,
        page_requests=options.requests,
    )
    stored, listed = results = (list[Stored](), list[Listed]())
    with tempfile.TemporaryDirectory(prefix="llmledger-bench-", dir=options.folder) as name:
        known = facts(Path(name))
        failed = [
            system for system in options.only or _SYSTEMS if not _measured(system, Path(name), options, plan, results)
        ]
    known |= {"sent": f"{plan.calls:,} calls of {plan.body_bytes} bytes over {plan.connections} connections"}
    known["run"] = f"{time.monotonic() - started:.0f} s"
    _say("\n".join(f"{name + ':':10}{value}" for name, value in known.items()))
    _say(f"\n{stored_table(stored)}\n\n{listed_table(listed)}\n\n{_CAUTION}")
    if options.json:
        options.json.write_bytes(msgspec.json.encode({"facts": known, "stored": stored, "listed": listed}))
    lost = any(one.found < one.acknowledged for one in stored if one.system == ledger.NAME)
    return 1 if failed or lost else 0


def _measured(name: str, folder: Path, options: argparse.Namespace, plan: Plan, results: Results) -> bool:
    """Every way of sending, each into an empty store; lists are asked for over the last one. False: not possible."""
    try:
        system = _system(name, options.environments)
        for batch in options.batches:
            _note(f"{system.name} {system.version}, {batch} per request …")
            stored, listed = measured(
                system, folder / f"{name}-{batch}", batch, plan, pages=batch == options.batches[-1]
            )
            results[0].append(stored)
            results[1].extend(listed)
    except (NotInstalled, NotStarted, Refused, OSError) as error:
        _note(f"{name} is left out from here on. {type(error).__name__}: {error}")
        return False
    return True


def _system(name: str, environments: Path) -> System:
    if name == "phoenix":
        return phoenix.system(environments, _note)
    return mlflow.system(environments, _note) if name == "mlflow" else ledger.system()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=_SYSTEMS, help="measure this system; may be repeated")
    parser.add_argument("--calls", type=int, default=5000, help="per system and way (default %(default)s)")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 100, 512], help="calls per request (default 1 100 512)"
    )
    parser.add_argument("--body-bytes", type=int, default=3000, help="of a report (default %(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="that send at once (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=120.0, help="to send, at most (default %(default)s)")
    parser.add_argument(
        "--storing-seconds", type=float, default=60.0, help="to wait until all is found (default %(default)s)"
    )
    parser.add_argument("--requests", type=int, default=100, help="for each list (default %(default)s)")
    parser.add_argument("--environments", type=Path, default=_ENVIRONMENTS, help="where peers are installed")
    parser.add_argument("--folder", type=Path, help="where what is measured is kept meanwhile: the disk matters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_options()))
