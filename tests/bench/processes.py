"""What the operating system accounts to a process: its memory and its CPU time. None where it tells neither."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Figure, Target


def peak_mb(pid: int) -> float | None:
    """The most memory (RSS) that the process has had at once, in megabytes of 10^6 bytes. Linux tells it."""
    try:
        return peak_in(Path(f"/proc/{pid}/status").read_text())
    except FileNotFoundError:
        return None


def peak_in(status: str) -> float:
    """The same from the text of `/proc/<pid>/status`."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    if found is None:
        raise ValueError("no VmHWM in the status of the process")
    return int(found[1]) * 1024 / 1e6


def cpu_seconds(pid: int) -> float | None:
    """The CPU time that the process has used, its threads included. Linux tells it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]  # the name before it may hold blanks
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_figure(name: str, peak: float | None, at_most_mb: float) -> list[Figure]:
    """The peak beside what it may be; nothing where it is not known."""
    return [] if peak is None else [Figure(name=name, unit="MB", ours=peak, target=Target(at_most=at_most_mb))]


def can_pin(cores: int) -> bool:
    """Whether processes can be bound to so many cores here."""
    return hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) >= cores


@contextmanager
def pinned_to(place: int) -> Iterator[None]:
    """What is started inside runs, with all its threads, on one core: the `place`-th of those that are ours."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[place]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
