"""Runs the parts one after the other, each in processes of its own, and prints one table."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.bench.figures import Figure, table
from tests.bench.ingest import IngestPlan
from tests.bench.ingest import measured as ingest
from tests.bench.load import tool
from tests.bench.machine import facts
from tests.support.kafka_broker import NoBroker, start_broker

PARTS = ("ingest", "worker", "listing")
_PART_SECONDS = 180.0
_CAUTION = """\
Single runs are noisy, most of all on a machine that has other work: figures vary by half from run to run. Read the
ratios, each measured beside its limit, and the CPU time per item: both say more than the figures per second."""


def main(options: argparse.Namespace) -> None:
    """Measure, print, and keep the figures as JSON where that is asked for."""
    parts = options.only or PARTS
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmledger-bench-", dir=options.folder) as name:
        folder = Path(name)
        known = {**facts(folder), "load": tool(), "bodies": f"{options.body_bytes} bytes"}
        with _kafka(wanted=options.kafka and bool({"ingest", "worker"} & set(parts))) as servers:
            figures = [figure for part in parts for figure in _measured(part, options, folder, servers)]
    known["run"] = f"{time.monotonic() - started:.0f} s"
    _say("\n".join(f"{name + ':':10}{value}" for name, value in known.items()))
    _say(f"\n{table(figures)}\n\n{_CAUTION}")
    if options.json:
        options.json.write_bytes(msgspec.json.encode({"facts": known, "figures": [_plain(one) for one in figures]}))


def _measured(part: str, options: argparse.Namespace, folder: Path, servers: str | None) -> list[Figure]:
    _note(f"{part} …")
    if part == "ingest":
        plan = IngestPlan(options.seconds, options.rounds, options.body_bytes)
        figures = [ingest("SQLite log", folder / "ingest-log", plan)]
        return [*figures, ingest("Kafka", folder / "ingest-kafka", plan, servers)] if servers else figures
    arguments = {
        "worker": [
            "--rows",
            options.rows,
            "--body-bytes",
            options.body_bytes,
            *(["--kafka", servers] if servers else []),
        ],
        "listing": ["--rows", options.listed, "--requests", options.requests, "--seconds", options.listing_seconds],
    }
    return _in_a_process(f"tests.bench.{part}", folder / part, list(map(str, arguments[part])))


def _in_a_process(module: str, folder: Path, arguments: Sequence[str]) -> list[Figure]:
    """The embedded engine wants a process of its own, and leaves nothing behind in this one."""
    command = [sys.executable, "-m", module, str(folder), *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=_PART_SECONDS, check=True)
    return msgspec.json.decode(ended.stdout, type=list[Figure])


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


def _plain(figure: Figure) -> dict[str, object]:
    return {**msgspec.structs.asdict(figure), "ratio": figure.ratio}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be repeated")
    parser.add_argument("--no-kafka", dest="kafka", action="store_false", help="the SQLite log only")
    parser.add_argument("--body-bytes", type=int, default=3000, help="of a report (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="per endpoint and round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="of each endpoint (default %(default)s)")
    parser.add_argument("--rows", type=int, default=20_000, help="through the worker (default %(default)s)")
    parser.add_argument("--listed", type=int, default=1_000_000, help="stored calls to list (default %(default)s)")
    parser.add_argument("--requests", type=int, default=200, help="for each page (default %(default)s)")
    parser.add_argument("--listing-seconds", type=float, default=15.0, help="for each page and side, at most")
    parser.add_argument("--folder", type=Path, help="where to keep what is measured: the disk matters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
