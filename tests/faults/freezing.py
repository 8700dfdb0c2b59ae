"""A process that stops in the middle of what it does and goes on later: neither dead nor alive to those around it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def freeze(pid: int) -> None:
    """Stop the process where it is. Its connections stay open, its timers stand still, its peers' do not."""
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let it go on. One that has ended since stays ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still while the block runs."""
    freeze(pid)
    try:
        yield
    finally:
        thaw(pid)
