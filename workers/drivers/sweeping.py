"""Sweeping of claims: a body that was too large for the bus is needed for as long as a record may name it.

That is as long as the bus keeps records, and a day more; then only a dead letter can still name it. Rows hold their
bodies themselves. What the blob store or Kafka does not say now is looked at again an hour later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ledger.blobs import StoredClaim, SweepableClaims
from ledger.bus.claims import is_name
from ledger.clock import Clock, to_milliseconds
from ledger.errors import LedgerError
from ledger.retention import DAY_MS
from ledger.store.claims import named_by_dead_letters
from ledger.store.clickhouse import ClickHousePool
from ledger.store.erasure import engine_now
from workers.drivers.stopping import stopped_within

_ASKED_AT_ONCE = 200  # names of up to some 600 characters; a parameter of a statement may have 128 KiB

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepingPlan:
    """How patient it is."""

    first_seconds: float = 300.0  # from the start to the first sweep
    every_seconds: float = 3600.0
    margin_ms: int = DAY_MS  # for clocks that differ, and for a dead letter that is being written


@dataclass(slots=True)
class Sweeper:
    """Deletes claims that nobody needs any more."""

    pool: ClickHousePool
    claims: SweepableClaims
    clock: Clock
    kept_ms: Callable[[], Awaitable[int | None]]  # how long a record may be read from the bus; None: for ever
    plan: SweepingPlan = field(default_factory=SweepingPlan)

    async def sweep(self) -> int:
        """How many claims went. Raises `Unavailable`, `StoreBroken`: the next sweep goes on."""
        kept = await self.kept_ms()
        if kept is None:
            return 0
        before, swept = await self._now() - kept - self.plan.margin_ms, 0
        async for page in self.claims.claims():
            for name in await self._unneeded([claim for claim in page if claim.written_at < before], before):
                await self.claims.delete_claim(name)
                swept += 1
        if swept:
            log.info("Claims that nobody needs any more were deleted.", extra={"claims": swept})
        return swept

    async def _unneeded(self, old: Sequence[StoredClaim], before: int) -> list[str]:
        names = [claim.name for claim in old if is_name(claim.name)]  # what else lies there is not ours to delete
        named: set[str] = set()
        for start in range(0, len(names), _ASKED_AT_ONCE):
            asked = names[start : start + _ASKED_AT_ONCE]
            named |= await self.pool.run(partial(named_by_dead_letters, names=asked, replayed_before=before))
        return [name for name in names if name not in named]

    async def _now(self) -> int:
        """By the clock that is behind, ours or the engine's: one that has leapt ahead must delete nothing."""
        return min(to_milliseconds(self.clock()), 1000 * await self.pool.run(engine_now))


async def run_sweeping(sweeper: Sweeper, ours: Callable[[], bool], stop: asyncio.Event) -> None:
    """Sweep again and again until `stop` is set, while `ours` says that this process is the one that sweeps."""
    pause = sweeper.plan.first_seconds
    while not await stopped_within(stop, pause):
        pause = sweeper.plan.every_seconds
        try:
            if ours():
                await sweeper.sweep()
        except LedgerError as error:
            log.warning("Claims could not be swept, it is tried again.", extra={"error": str(error)})
