"""One process of a product under test: started, ended, frozen and started again, always by its process id."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.freezing import freeze, thaw

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120.0
_END_SECONDS = 60.0
_LOOK_SECONDS = 0.05


class NotReadyError(Exception):
    """A part has ended, or has not become ready in time."""


@dataclass(slots=True)
class Part:
    """A process. What it prints goes on in one log over all its lives."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None
    lives: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        """Of the process, which must have been started."""
        if self.process is None:
            raise NotReadyError(f"{self.name} was never started")
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended (a frozen one runs)."""
        return self.process is not None and self.process.poll() is None

    def start(self, more: Mapping[str, str] | None = None) -> None:
        """Start it, with more settings for this life; returns at once."""
        if self.runs:
            raise NotReadyError(f"{self.name} runs already")
        self.lives += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**self.environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return once it is ready. Raises `NotReadyError` when it has ended or needs longer."""
        give_up_at = time.monotonic() + seconds
        while not self.ready():
            if not self.runs or time.monotonic() > give_up_at:
                raise NotReadyError(f"{self.name}: exit {self._code()} after start {self.lives}\n{self.tail()}")
            time.sleep(_LOOK_SECONDS)

    def await_ready_or_end(self) -> None:
        """Return once it is ready or has ended. Raises `NotReadyError` when neither comes in time."""
        give_up_at = time.monotonic() + READY_SECONDS
        while self.runs and not self.ready():
            if time.monotonic() > give_up_at:
                raise NotReadyError(f"{self.name} is neither ready nor ended\n{self.tail()}")
            time.sleep(_LOOK_SECONDS)

    def kill(self) -> None:
        """End it as a crash would; returns when it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_END_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.process is not None:
            self.process.send_signal(number)

    def terminate(self) -> int:
        """Ask it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_ended(_END_SECONDS)

    def wait_ended(self, seconds: float) -> int:
        """Its exit code, negative for a signal. Raises `TimeoutError` while it runs on."""
        if self.process is None:
            raise NotReadyError(f"{self.name} was never started")
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} has not ended within {seconds:.0f} s\n{self.tail()}") from error

    def freeze(self) -> None:
        """Stop it where it is."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Let it go on, if it still runs."""
        if self.runs:
            thaw(self.pid)

    def tail(self) -> str:
        """What it said last."""
        return self.log.read_bytes()[-4000:].decode(errors="replace") if self.log.exists() else ""

    def _code(self) -> int | None:
        return None if self.process is None else self.process.poll()


def bare_environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the developer's settings: a path, a home of its own, and what is given."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200", **settings}
