"""Runs the parts one after the other, each in processes of its own, and prints one table.

Exit code 0 however slow it was; 1 when an answer was wrong, a report lost or doubled, or a part did not get to its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.bench.figures import Figure, summary, table
from tests.bench.load import tool
from tests.bench.machine import facts
from tests.bench.part import PARTS, WITH_KAFKA
from tests.bench.plan import Plan
from tests.support.kafka_broker import NoBroker, start_broker

_PART_SECONDS = 900.0
_CAUTION = """\
Single runs are noisy, most of all on a machine that has other work: figures vary by half from run to run. Read the
ratios, each measured beside its limit, and the CPU time per item: both say more than the figures per second."""


@dataclass(slots=True)
class _Run:
    """What the parts have found so far."""

    options: argparse.Namespace
    folder: Path
    figures: list[Figure] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # parts that did not get to their end; stderr tells why
    took: dict[str, float] = field(default_factory=dict)

    @property
    def is_wrong(self) -> bool:
        return bool(self.failed) or any(figure.wrong for figure in self.figures)

    def measure(self, part: str, kafka: str | None) -> None:
        """Run the part; what it found is kept, and so is that it failed."""
        _note(f"{part} …")
        started = time.monotonic()
        command = [sys.executable, "-m", "tests.bench.part", part]
        plan = msgspec.json.encode(_plan(self.options, self.folder / part, kafka))
        try:
            ended = subprocess.run(command, input=plan, stdout=subprocess.PIPE, timeout=_PART_SECONDS, check=True)
            self.figures += msgspec.json.decode(ended.stdout, type=list[Figure])
        except subprocess.SubprocessError as error:
            _note(f"{part}: {error}")
            self.failed.append(part)
        self.took[part] = time.monotonic() - started


def main(options: argparse.Namespace) -> int:
    """Measure, print, and keep the figures as JSON where that is asked for. The exit code."""
    parts = options.only or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="llmledger-bench-", dir=options.folder) as name:
        run = _Run(options, Path(name))
        known = {**facts(run.folder), "load": tool(), "bodies": f"{options.body_bytes} bytes"}
        with _kafka(wanted=options.kafka and bool(WITH_KAFKA & set(parts))) as servers:
            for part in parts:
                run.measure(part, servers)
    known["run"] = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in run.took.items())
    _say("\n".join(f"{name + ':':10}{value}" for name, value in known.items()))
    _say(f"\n{table(run.figures)}\n\n{summary(run.figures)}\n\n{_CAUTION}")
    for part in run.failed:
        _say(f"FAILED: {part} did not get to its end; the reason is above.")
    if options.json:
        found = {"facts": known, "figures": [_plain(one) for one in run.figures], "failed": run.failed}
        options.json.write_bytes(msgspec.json.encode(found))
    return int(run.is_wrong)


@contextmanager
def _kafka(*, wanted: bool) -> Iterator[str | None]:
    """The address of a broker; None, with the reason on stderr, where there is none to be had."""
    if not wanted:
        yield None
        return
    try:
        broker = start_broker(os.environ)
    except NoBroker as error:
        _note(f"Without Kafka: {error}")
        yield None
        return
    try:
        yield broker.bootstrap_servers
    finally:
        broker.remove()


def _plan(options: argparse.Namespace, folder: Path, kafka: str | None) -> Plan:
    known = {name: value for name, value in vars(options).items() if name in Plan.__struct_fields__}
    return Plan(**{**known, "folder": str(folder), "kafka": kafka})


def _plain(figure: Figure) -> dict[str, object]:
    return {**msgspec.structs.asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be repeated")
    parser.add_argument("--no-kafka", dest="kafka", action="store_false", help="what needs no broker only")
    parser.add_argument("--body-bytes", type=int, default=3000, help="of a report (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="per endpoint and round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="of each endpoint and worker (default %(default)s)")
    parser.add_argument(
        "--rows", type=int, default=40_000, help="through the worker, and through each of two (default %(default)s)"
    )
    parser.add_argument("--stored", type=int, default=1_000_000, help="rows that are there already (%(default)s)")
    parser.add_argument("--e2e-seconds", type=float, default=60.0, help="of load end to end (default %(default)s)")
    parser.add_argument("--e2e-rate", type=int, default=0, help="reports/s end to end (default: all that it takes)")
    parser.add_argument("--fresh-seconds", type=float, default=20.0, help="of steady load (default %(default)s)")
    parser.add_argument("--listed", type=int, default=1_000_000, help="stored calls to list (default %(default)s)")
    parser.add_argument("--requests", type=int, default=200, help="for each page (default %(default)s)")
    parser.add_argument("--listing-seconds", type=float, default=3.0, help="for each page and side, at most")
    parser.add_argument("--folder", type=Path, help="where to keep what is measured: the disk matters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_options()))
