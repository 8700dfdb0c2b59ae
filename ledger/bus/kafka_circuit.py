"""A circuit per partition: where a record has just failed, one record tries while all others are refused at once.

Without it every request would wait for its own deadline while a partition has no leader, and hold its bytes meanwhile.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.bus import Position
from ledger.errors import BusUnavailable

_PAUSES_SECONDS = (0.0, 1.0, 2.0, 5.0)  # after so many failures in a row; the last one from there on


@dataclass(slots=True)
class Circuit:
    """Closed, all may pass; open, nobody for a while, and then one."""

    monotonic: Callable[[], float]
    _failures: int = 0
    _trial: bool = False
    _open_until: float = 0.0

    def admits(self) -> bool:
        """Whether a record may be tried now. While the circuit is open, the one that may is the trial."""
        if not self._failures:
            return True
        if self._trial or self.monotonic() < self._open_until:
            return False
        self._trial = True
        return True

    def succeeded(self) -> None:
        """A record was confirmed."""
        self._failures = 0
        self._trial = False

    def failed(self) -> None:
        """A record was not. Of many that failed together, only the first counts."""
        if self._failures and not self._trial:
            return
        self._open_until = self.monotonic() + _PAUSES_SECONDS[min(self._failures, len(_PAUSES_SECONDS) - 1)]
        self._failures += 1
        self._trial = False

    def heard(self, answer: asyncio.Future[Sequence[Position | Exception]]) -> None:
        """What became of the records of one call."""
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, BusUnavailable):
            self.failed()
        elif not self._failures:
            return  # closed, and nothing that opens it
        elif not answer.cancelled() and error is None and any(isinstance(at, Position) for at in answer.result()):
            self.succeeded()
        else:
            self.left()

    def left(self) -> None:
        """A record went away without telling anything of the partition."""
        self._trial = False
