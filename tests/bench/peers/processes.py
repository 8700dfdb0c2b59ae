"""A server with all its processes: started apart, weighed by the operating system, and ended without a trace."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.asking import Question, Refused, ask

_READY_SECONDS = 180.0
_END_SECONDS = 30.0
_QUIET_CPU_SHARE = 0.1
_QUIET_SECONDS = 3
_SETTLE_SECONDS = 60.0
_PROC = Path("/proc")


class NotStarted(Exception):
    """The server ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Of a process and all its descendants."""

    cpu_seconds: float  # so far, user and system, those of ended descendants too
    memory_bytes: int  # resident; a page that several share is counted once (PSS)


@contextmanager
def started(command: Sequence[str], folder: Path, settings: Mapping[str, str], ready: str) -> Iterator[int]:
    """The process id of a server that answers at the URL `ready`; it works in the folder. Raises `NotStarted`.

    Its environment holds the search path and the settings, and nothing else of the caller's.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **settings}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of it can be ended at once
        )
    try:
        _await_ready(process, ready, log)
        yield process.pid
    finally:
        _end(process)


def tree(root: int) -> list[int]:
    """The process and its descendants, as far as they run."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def weigh(root: int) -> Weight:
    """What the operating system says now. Linux only."""
    ticks, kibibytes = 0, 0
    for pid in tree(root):
        with suppress(FileNotFoundError, ProcessLookupError):  # a child may end meanwhile
            ticks += sum(map(int, _stat(pid)[11:15]))
            kibibytes += _proportional_kibibytes(pid)
    return Weight(ticks / os.sysconf("SC_CLK_TCK"), kibibytes * 1024)


def settle(root: int) -> None:
    """Return once the server rests: what it still does after it has said that it is ready is not to be measured."""
    give_up_at, quiet, before = time.monotonic() + _SETTLE_SECONDS, 0, weigh(root).cpu_seconds
    while quiet < _QUIET_SECONDS and time.monotonic() < give_up_at:
        time.sleep(1.0)
        now = weigh(root).cpu_seconds
        quiet = quiet + 1 if now - before < _QUIET_CPU_SHARE else 0
        before = now


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, … (`man 5 proc`, from field 3 on)."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _proportional_kibibytes(pid: int) -> int:
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    base, _, path = url.rpartition("/")
    give_up_at = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        with suppress(OSError, Refused):
            ask(base, Question("GET", f"/{path}"))
            return
        time.sleep(0.2)
    said = log.read_text(errors="replace")[-3000:]
    raise NotStarted(f"{process.args!r}: exit {process.poll()}, no answer at {url}. It said: {said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
