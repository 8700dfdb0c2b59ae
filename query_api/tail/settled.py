"""How far the partitions of the bus are settled: one look of the process serves all its tails."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import LedgerError, Unavailable
from ledger.filtering.statements import Statement
from query_api.reading import Reader
from query_api.tail.positions import Places

_LOOK = Statement("SELECT generation, partition, max(offset) FROM bus_progress GROUP BY generation, partition", {})


@dataclass(slots=True)
class Settlements:
    """Looks at most once in `every_seconds`, whoever asks. A look that failed has failed for all who ask then."""

    reader: Reader
    every_seconds: float
    now: Callable[[], float] = time.monotonic
    _places: Places = field(default_factory=dict, init=False)
    _failure: LedgerError | None = field(default=None, init=False)
    _looked_at: float = field(default=float("-inf"), init=False)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def look(self) -> Places:
        """The last settled offset of each partition. Raises `Unavailable` while the store is away."""
        async with self._looking:
            if self.now() - self._looked_at >= self.every_seconds:
                await self._look()
        if self._failure is not None:
            raise Unavailable(str(self._failure)) from self._failure
        return self._places

    async def _look(self) -> None:
        try:
            rows = await self.reader.renewed().rows(_LOOK)
        except LedgerError as error:
            self._failure = error
        else:
            self._failure = None
            self._places = {(generation, partition): offset for generation, partition, offset in rows}
        self._looked_at = self.now()  # a look that was broken off counts as none
