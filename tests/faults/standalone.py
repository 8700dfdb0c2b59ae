"""The standalone product as a target: one process on a folder, on a port that stays its own over all restarts."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGINT
from typing import Any

import httpx

from ledger.failpoints import VARIABLE
from tests.faults.scenario import PROJECTS
from tests.support.child_process import COMMAND, environment, succeeded
from tests.support.kafka_settings import free_port

PART = "standalone"

_READY_SECONDS = 90.0
_END_SECONDS = 30.0
_LOOK_SECONDS = 0.02


class StandaloneTarget:
    """`command` starts the product (the installed one by default); `settings` are added to its environment."""

    def __init__(
        self, home: Path, command: Sequence[str] = (str(COMMAND),), settings: Mapping[str, str] | None = None
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.folder = home / "data"
        self._command = command
        self._settings = dict(settings or {})
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (home / "llmledger.log").open("ab")
        self.folder.mkdir(exist_ok=True, mode=0o700)
        with ThreadPoolExecutor() as threads:
            admin_key = threads.submit(self._new_key, "*", "admin")
            keys = threads.map(lambda project: self._new_key(project, "ingest", "query"), PROJECTS)
            self._keys = dict(zip(PROJECTS, keys, strict=True))
            self._admin_key = admin_key.result()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def key(self, project: str) -> str:
        """A key of this project with the scopes ingest and query."""
        return self._keys[project]

    def admin_key(self) -> str:
        """A key of all projects with the scope admin."""
        return self._admin_key

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.restart(PART)

    def restart(self, part: str, failpoints: str = "") -> None:
        """Start it anew. With failpoints it may have ended when this returns."""
        _check(part)
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError("The product still runs.")
        armed = {VARIABLE: failpoints} if failpoints else {}
        self._process = subprocess.Popen(
            [*self._command, "--data", str(self.folder), "--port", str(self._port)],
            cwd=self.home,
            env=environment(self.home, {**self._settings, **armed}),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._await_ready(self._process, may_end=bool(failpoints))

    def stop(self) -> None:
        """Ctrl-C. Raises unless it ends in good order."""
        self.signal(PART, SIGINT)
        code = self.wait_ended(PART, _END_SECONDS)
        if code != 0:
            raise RuntimeError(f"exit {code} after Ctrl-C\n{self.messages()[-4000:]}")

    def close(self) -> None:
        """End it at once."""
        self.kill(PART)
        self._log.close()

    def kill(self, part: str) -> None:
        """As a crash would end it."""
        _check(part)
        if self._process is not None:
            self._process.kill()
            self._process.wait(_END_SECONDS)

    def signal(self, part: str, number: int) -> None:
        """Send it this signal."""
        _check(part)
        self._running().send_signal(number)

    def wait_ended(self, part: str, seconds: float) -> int:
        """Its exit code. Raises `TimeoutError`."""
        _check(part)
        try:
            return self._running().wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"The product still runs after {seconds:.0f} s.") from error

    def memory_mib(self) -> Mapping[str, float]:
        """The most memory that the running process has had in use, in MiB."""
        return peak_mib({PART: self._running().pid})

    def messages(self) -> str:
        """Everything it has said."""
        return (self.home / "llmledger.log").read_text(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("The product was not started.")
        return self._process

    def _new_key(self, project: str, *scopes: str) -> str:
        wanted = [word for scope in scopes for word in ("--scope", scope)]
        options = ["--data", str(self.folder), "--project", project, *wanted, "--json"]
        made: dict[str, Any] = json.loads(succeeded(["keys", "create", *options], self.home))
        return str(made["key"])

    def _await_ready(self, process: subprocess.Popen[bytes], *, may_end: bool) -> None:
        def ended() -> bool:
            if process.poll() is None:
                return False
            if may_end:
                return True
            raise RuntimeError(f"exit {process.returncode} at its start\n{self.messages()[-4000:]}")

        await_ready(f"{self.url}/health/ready", ended)


def await_ready(url: str, ended: Callable[[], bool]) -> None:
    """Return once the health page says ready, or `ended` is true. Raises `TimeoutError`."""
    give_up_at = time.monotonic() + _READY_SECONDS
    with httpx.Client(verify=False, timeout=5.0) as client:  # plain HTTP: loading certificates takes longest
        while time.monotonic() < give_up_at:
            if ended():
                return
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"{url} is not ready after {_READY_SECONDS:.0f} s.")


def peak_mib(pids: Mapping[str, int]) -> Mapping[str, float]:
    """The highest resident set of each of these processes so far, in MiB; nothing where the system does not tell."""
    return {name: peak for name, pid in pids.items() if (peak := _peak_mib(pid)) is not None}


def _peak_mib(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


def _check(part: str) -> None:
    if part != PART:
        raise ValueError(f"There is no part {part!r}: the standalone product is one process, {PART!r}.")
