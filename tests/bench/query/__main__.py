"""`python -m tests.bench.query`: every kind of query over millions of rows, beside the best plain SQL for its answer.

Each answer is compared with the deduplicated one. No time is asserted: the table says what is met and what is missed.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.machine import facts
from tests.bench.query.folders import NoRoom
from tests.bench.query.measuring import Plan
from tests.bench.query.report import report
from tests.bench.query.session import Found, Wish, run

_CAUTION = """\
Read the ratios: ours and its limit were asked in turns, so what disturbed one disturbed the other. Milliseconds vary
by half from run to run, most of all on a machine that has other work."""


def main(options: argparse.Namespace) -> int:
    """Measure and print; 1 when an answer was wrong or refused."""
    wish = Wish(options.rows, Plan(options.runs, options.seconds), options.mix_seconds, options.only or ())
    started = time.monotonic()
    try:
        if options.folder:
            known, found = _found(options.folder, wish)
        else:
            with tempfile.TemporaryDirectory(prefix="llmledger-bench-") as name:
                known, found = _found(Path(name), wish)
    except NoRoom as error:
        _note(str(error))
        return 1
    known |= {"data": f"{options.rows:,} rows", "run": f"{time.monotonic() - started:.0f} s"}
    _say("\n".join(f"{name + ':':10}{value}" for name, value in known.items()))
    _say(f"\n{report(found, options.rows)}\n\n{_CAUTION}")
    if options.json:
        options.json.write_bytes(msgspec.json.encode({"facts": known, "found": found}))
    return 1 if any(one.trouble for one in found.measured) else 0


def _found(folder: Path, wish: Wish) -> tuple[dict[str, str], Found]:
    folder.mkdir(parents=True, exist_ok=True)
    return facts(folder), run(folder, wish, _note)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.query", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the data set (default %(default)s)")
    parser.add_argument("--runs", type=int, default=50, help="of each query (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each query, at most (default %(default)s)")
    parser.add_argument(
        "--mix-seconds", type=float, default=20.0, help="of many clients; 0: none (default %(default)s)"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="queries whose name holds this; may be repeated"
    )
    parser.add_argument("--folder", type=Path, help="where data sets are kept and found again; else a temporary one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_options()))
