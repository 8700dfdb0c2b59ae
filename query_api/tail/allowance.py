"""How many rows a second one reader gets: as many as were saved up, and never more than a second's worth at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """Grants `rate` rows per second."""

    rate: int
    now: Callable[[], float] = time.monotonic
    _saved: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._saved, self._at = float(self.rate), self.now()

    def take(self, wanted: int) -> int:
        """How many of them may go now."""
        now = self.now()
        self._saved, self._at = min(float(self.rate), self._saved + (now - self._at) * self.rate), now
        granted = min(wanted, int(self._saved))
        self._saved -= granted
        return granted
