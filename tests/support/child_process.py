"""The `llmledger` command as a process of its own, in an environment that holds nothing of the developer's settings."""

import os
import selectors
import signal
import subprocess
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sysconfig.get_path("scripts")) / "llmledger"

_COMMAND_SECONDS = 120.0
_START_SECONDS = 90.0
_END_SECONDS = 30.0


def environment(home: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a command: what it was given, and a home without files of settings.

    Calls are kept for ever unless it says otherwise, since those of tests are of fixed dates.
    """
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    fixed = {"HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1", "LLMLEDGER_RETENTION__DAYS": "forever"}
    return {**kept, **fixed, **(settings or {})}


def run_command(
    arguments: Sequence[str], home: Path, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `llmledger` with these arguments to its end, whatever its exit code."""
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=home,
        env=environment(home, settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )


def succeeded(arguments: Sequence[str], home: Path, settings: Mapping[str, str] | None = None) -> str:
    """What the command printed on stdout. A command that fails is an error, with what it said."""
    ended = run_command(arguments, home, settings)
    assert ended.returncode == 0, f"llmledger {' '.join(arguments)}: exit {ended.returncode}\n{ended.stderr}"
    return ended.stdout


@dataclass(frozen=True, slots=True)
class Child:
    """A running `llmledger`. What it says on stderr is kept in `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    def messages(self) -> str:
        """Everything it has said on stderr."""
        return self.log.read_text(errors="replace")

    def lines_until(self, last: str) -> list[str]:
        """What it prints on stdout, up to the line that contains `last`. The wait is bounded."""
        assert self.process.stdout is not None
        descriptor, printed = self.process.stdout.fileno(), b""
        give_up_at = time.monotonic() + _START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while last not in printed.decode(errors="replace") or not printed.endswith(b"\n"):
                ready = selector.select(max(0.0, give_up_at - time.monotonic()))
                part = os.read(descriptor, 65536) if ready else b""
                assert part, f"exit {self.process.poll()} without the line {last!r}: {printed!r}\n{self.messages()}"
                printed += part
        return printed.decode().splitlines()

    def interrupt(self) -> int:
        """Ask it to end as Ctrl-C does; its exit code. The wait is bounded."""
        self.process.send_signal(signal.SIGINT)
        return self._ended()

    def kill(self) -> None:
        """End it as a crash would. An ended one stays as it is."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        code = self.process.wait(_END_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start_command(
    arguments: Sequence[str], home: Path, settings: Mapping[str, str] | None = None, *, log: str = "llmledger.log"
) -> Child:
    """Start `llmledger` with these arguments; its stderr goes on in the file `log` of `home`."""
    path = home / log
    with path.open("ab") as errors:
        process = subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=home,
            env=environment(home, settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    return Child(process, path)
