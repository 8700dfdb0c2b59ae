"""The load generator's own ledger: one line of JSON per attempt, on disk before its sender goes on."""

import os
from pathlib import Path
from threading import Condition
from types import TracebackType

import msgspec

from tests.faults.sent import Sent

_encoder = msgspec.json.Encoder()


class LedgerFile:
    """Appends from many threads. One fsync serves all that wait; nobody returns before the one after its line."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._turn = Condition()
        self._written = 0  # lines
        self._synced = 0
        self._syncing = False
        self._history: list[Sent] = []

    def write(self, sent: Sent) -> None:
        """Return once the line is on disk."""
        line = _encoder.encode(sent) + b"\n"
        with self._turn:
            os.write(self._file, line)
            self._history.append(sent)
            self._written += 1
            mine = self._written
        self._sync(mine)

    def history(self) -> list[Sent]:
        """Every attempt so far."""
        with self._turn:
            return list(self._history)

    def _sync(self, line: int) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._synced >= line or not self._syncing)
                if self._synced >= line:
                    return
                self._syncing, until = True, self._written
            try:
                os.fsync(self._file)
            finally:
                with self._turn:
                    self._syncing = False
                    self._turn.notify_all()
            with self._turn:
                self._synced = max(self._synced, until)
                self._turn.notify_all()

    def __enter__(self) -> "LedgerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def read_ledger(path: Path) -> list[Sent]:
    """Every attempt that a ledger file tells of."""
    return [msgspec.json.decode(line, type=Sent) for line in path.read_bytes().splitlines()]
