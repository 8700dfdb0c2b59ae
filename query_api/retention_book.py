"""What is kept, as this process knows it: looked up again every few seconds, and at once where it is set here.

A request never fails for a look that failed: what was known last counts. But nothing is shown before it is known once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ledger.clock import Clock, to_milliseconds
from ledger.counted_log import CountedLog
from ledger.errors import LedgerError
from ledger.filtering.retained import NOT_KNOWN, UNKNOWN, Retained
from ledger.retention import Installation, Policies, Policy
from ledger.store import StoreUnavailable
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention import read_policies, write_policy

REFRESH_SECONDS = 10.0
AGAIN_SECONDS = 1.0  # after a look that failed
PATIENCE_SECONDS = 2.0  # how long a request waits for a look, where something is known already

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RetentionBook:
    """Policies of all projects, at most `REFRESH_SECONDS` old while the store answers."""

    pool: ClickHousePool
    installation: Installation
    clock: Clock
    now: Callable[[], float] = time.monotonic
    _known: Policies | None = field(default=None, init=False)
    _looks: int = field(default=0, init=False)
    _known_of: int = field(default=0, init=False)  # the look that found it
    _next_at: float = field(default=float("-inf"), init=False)
    _looking: asyncio.Task[None] | None = field(default=None, init=False)
    _warnings: CountedLog = field(default_factory=lambda: CountedLog(log), init=False)

    async def look(self) -> None:
        """Look it up again where that is due; a look that fails is said, and raises nothing."""
        if self._known is not None and self.now() < self._next_at:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._refreshed())
        await asyncio.wait({self._looking}, timeout=None if self._known is None else PATIENCE_SECONDS)

    def policies(self) -> Policies:
        """As they are known. Raises `StoreUnavailable` before they are."""
        if self._known is None:
            raise StoreUnavailable(NOT_KNOWN)
        return self._known

    def retained(self) -> Retained:
        """What is kept at this moment; before it is known, what fails for everyone who asks it."""
        return UNKNOWN if self._known is None else self._known.retained(to_milliseconds(self.clock()))

    async def set(self, policy: Policy, *, is_set: bool) -> None:
        """Durable on return, and in force here. Raises `StoreUnavailable`, `StoreBroken`."""
        await self.pool.run(partial(write_policy, policy=policy, is_set=is_set))
        await self.refresh()

    async def refresh(self) -> None:
        """Look it up now. Raises `StoreUnavailable`, `StoreBroken`."""
        self._looks += 1
        look = self._looks
        found = await self.pool.run(partial(read_policies, installation=self.installation))
        if look > self._known_of:  # a look that began earlier may end later
            self._known, self._known_of = found, look
            self._next_at = self.now() + REFRESH_SECONDS

    async def _refreshed(self) -> None:
        try:
            await self.refresh()
        except LedgerError as error:
            self._next_at = self.now() + AGAIN_SECONDS
            self._warnings.warning("How long calls are kept could not be looked up.", {"detail": str(error)})
