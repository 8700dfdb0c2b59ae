"""A power cut: the product runs on a file system in a file, and the file is copied while it is mounted.

The copy holds what had reached that disk, and nothing else: what an fsync did not bring there is not in it. The product
is started on the copy. Everything that was acknowledged before the copying began must be there; what was acknowledged
meanwhile or later is not judged. Needs root, mkfs.ext4 and loop devices. Sectors are not torn or reordered.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.faults.ledger_file import LedgerFile
from tests.faults.load import Load, LoadPlan
from tests.faults.oracle import judge
from tests.faults.scenario import RunContext, RunReport
from tests.faults.sent import Outcome, Sent
from tests.faults.standalone import PART, StandaloneTarget
from tests.faults.verdict import Counts, Result, Verdict
from tests.support.kafka_settings import free_port

Make = Callable[[Path], StandaloneTarget]

SIZE_MIB = 1024
PLAN = LoadPlan(per_second=200.0)
_PATIENCE = 20.0
_UNDER_WAY_SECONDS = 1.0  # for answers to requests that the cut found under way


class NoLoopDevice(Exception):
    """A file system in a file could not be made or mounted: run as root, with e2fsprogs and loop devices."""


class OnCopy(StandaloneTarget):
    """The same start-up with the same keys, on the folder of a copy."""

    def __init__(self, running: StandaloneTarget, home: Path) -> None:
        self.home = home
        self.folder = home / running.folder.name
        self._command, self._settings = running._command, running._settings
        self._keys, self._admin_key = running._keys, running._admin_key
        self._port = free_port()
        self._process = None
        self._log = (home / "after-the-cut.log").open("ab")

    def messages(self) -> str:
        """Everything it has said since the cut."""
        return (self.home / "after-the-cut.log").read_text(errors="replace")


def cut_power(context: RunContext, make: Make, *, cuts: int) -> RunReport:
    """`cuts` cuts in one run, each judged on its own copy while the product runs on."""
    context.data.mkdir(parents=True, exist_ok=True)
    disk, verdict = context.data / "disk.img", Verdict(Result.PASS)
    with formatted(disk, SIZE_MIB), mounted(disk, context.data / "disk") as home:
        target = make(home)
        try:
            target.start()
            with LedgerFile(context.folder / "ledger.jsonl") as ledger:
                load = Load(target, ledger, context.seed, PLAN)
                load.start()
                try:
                    for number in range(1, cuts + 1):
                        load.wait(context.random.uniform(0.7, 2.5))
                        _add(verdict, _cut(context, target, disk, ledger), number)
                        context.fault(f"power cut {number}")
                finally:
                    load.abandon()
        finally:
            target.close()
    return RunReport(verdict, {"cuts": cuts})


def _cut(context: RunContext, target: StandaloneTarget, disk: Path, ledger: LedgerFile) -> Verdict:
    """The product stands still while the disk is copied, so that the copy is of one instant as far as it goes."""
    copy = context.data / "copy.img"
    target.signal(PART, signal.SIGSTOP)
    try:
        began = time.time()
        done(["cp", "--sparse=always", str(disk), str(copy)])
    finally:
        target.signal(PART, signal.SIGCONT)
    try:
        with mounted(copy, context.data / "copy") as home:
            return _judged(OnCopy(target, home), lambda: [_as_known_at(one, began) for one in ledger.history()])
    finally:
        copy.unlink()


def _judged(target: StandaloneTarget, known: Callable[[], Sequence[Sent]]) -> Verdict:
    """`known` is asked once it has started: what was under way at the cut is in the ledger file by then."""
    try:
        target.start()
    except (RuntimeError, TimeoutError) as error:
        return Verdict(Result.MISMATCH, [f"I1 loss: it does not start after the power cut: {error}"])
    else:
        time.sleep(_UNDER_WAY_SECONDS)
        return judge(known(), target, patience=_PATIENCE)
    finally:
        target.close()


def _as_known_at(one: Sent, instant: float) -> Sent:
    if one.outcome is not Outcome.ACK or one.until < instant:
        return one
    return replace(
        one, outcome=Outcome.UNKNOWN, position=None, record_id=one.record_id if one.api == "update" else None
    )


def _add(verdict: Verdict, found: Verdict, number: int) -> None:
    verdict.mismatches += [f"cut {number}: {what}" for what in found.mismatches]
    counts = Counts()
    counts.add(found.counts)
    verdict.counts = counts  # the history grows from cut to cut: the last one has it all
    order = (Result.PASS, Result.CHECK_ERROR, Result.MISMATCH)
    verdict.result = max(verdict.result, found.result, key=order.index)


@contextmanager
def formatted(disk: Path, mib: int) -> Iterator[None]:
    """An empty ext4 in a sparse file."""
    with disk.open("wb") as file:
        file.truncate(mib * 1024 * 1024)
    done(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(disk)])
    try:
        yield
    finally:
        disk.unlink(missing_ok=True)


@contextmanager
def mounted(disk: Path, at: Path) -> Iterator[Path]:
    """A folder of that file system, until the end of the block."""
    at.mkdir(parents=True, exist_ok=True)
    done(["mount", "-o", "loop", str(disk), str(at)])
    try:
        yield at
    finally:
        done(["umount", str(at)])


def done(command: Sequence[str]) -> None:
    """Run it. Raises `NoLoopDevice` with what it said."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise NoLoopDevice(f"{' '.join(command)}: {said.strip()}. {NoLoopDevice.__doc__}") from error
