"""Erasure, beside the pipeline: what is deleted is a tombstone at once; this makes its bytes leave the disk.

A sweep takes every deletion that is applied and not yet erased, does what is left to do, and notes how far it came. It
asks the tables what is left, so it may be cut short anywhere and run again. It never touches what a live row names.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ledger.blobs import ErasableBlobs
from ledger.clock import Clock, to_milliseconds
from ledger.errors import LedgerError
from ledger.store import erasure
from ledger.store.clickhouse import ClickHousePool
from ledger.store.erasure import Applied
from ledger.store.erasures import Erasure, note, noted
from workers.drivers.erasing_blobs import BlobAge, sweep_blobs
from workers.drivers.erasing_dead_letters import erase_dead_letters
from workers.drivers.stopping import stopped_within

SKEW_MS = 60_000
"""How far the blob storage's clock may be ahead of ours."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ErasingPlan:
    """How patient the erasure is."""

    every_seconds: float = 300.0  # between two sweeps, at least
    share: float = 0.1  # of the time that sweeps may take: after a long one the pause is longer
    blob_seconds: float = 3600.0  # a blob younger than this may belong to a report that is still being stored
    quiet_seconds: float = 600.0  # so long the store has answered: rows that had waited for it are written by then


@dataclass(slots=True)
class Eraser:
    """Erases what deletions took."""

    pool: ClickHousePool
    blobs: ErasableBlobs
    clock: Clock
    plan: ErasingPlan = field(default_factory=ErasingPlan)
    _answers_since: int | None = None

    async def sweep(self) -> list[Erasure]:
        """Do what can be done now, and note it. Raises `Unavailable`, `StoreBroken`: the next sweep goes on."""
        try:
            return await self._sweep()
        except LedgerError:
            self._answers_since = None
            raise

    async def _sweep(self) -> list[Erasure]:
        waiting = await self.pool.run(erasure.mutations_under_way)
        if self._answers_since is None:
            self._answers_since = self._now()
        if waiting:
            log.warning("Erasure waits for mutations that the store has not finished.", extra={"mutations": waiting})
            return []
        pending = await self.pool.run(erasure.applied)
        states = [await self._erased_or_said(applied) for applied in pending]
        return [state for state in states if state is not None]

    async def _erased_or_said(self, applied: Applied) -> Erasure | None:
        """One deletion that does not get through must not keep the others from it."""
        try:
            return await self._erase(applied)
        except LedgerError as error:
            extra = {"deletion": applied.erasable.event_id, "error": str(error)}
            log.warning("A deletion's bytes could not be erased, it is tried again.", extra=extra)
            return None

    async def _erase(self, applied: Applied) -> Erasure:
        of = applied.erasable
        before = await self.pool.run(partial(noted, of=of)) or self._begun(of)
        before = before.after(applied.records, self._now())
        judged = await erase_dead_letters(self.pool, self.blobs, applied)
        blanked = await self.pool.run(partial(erasure.blank_patches, of=of))
        rewritten = await self.pool.run(partial(erasure.rewrite, of=of))
        counted = replace(before, dead_letters=before.dead_letters + judged.erased, unread_dead_letters=judged.unread)
        if judged.away:
            await self._noted(replace(counted, rewritten_at=None), before)  # what was counted stays counted
            raise judged.away
        changed = bool(judged.erased or blanked or rewritten)
        aged = await self._noted(await self._aged(counted, changed=changed), before)
        without_blobs = await self._without_blobs(aged)  # last: a blob store that refuses keeps nothing else from it
        state = await self._noted(await self._aged(without_blobs, changed=False), aged)
        log.info("Erasure.", extra={"deletion": of.event_id, "erased": state.erased_at is not None})
        return state

    async def _noted(self, state: Erasure, before: Erasure) -> Erasure:
        """The state, written down as the latest one."""
        state = replace(state, written_at=max(self._now(), before.written_at + 1))
        await self.pool.run(partial(note, erasure=state))
        return state

    async def _without_blobs(self, state: Erasure) -> Erasure:
        """Erase the blobs that nothing names; those that are too young are left for a later sweep."""
        if state.blobs_done:
            return state
        age_ms, quiet_ms = int(self.plan.blob_seconds * 1000), int(self.plan.quiet_seconds * 1000)
        quiet_at = (self._answers_since or self._now()) + quiet_ms
        if self._now() < quiet_at:
            return replace(state, blobs_until=quiet_at)
        age = BlobAge(state.begun_at + SKEW_MS, self._now() - age_ms)
        swept = await sweep_blobs(self.pool, self.blobs, state.deletion.project, age)
        until = None if swept.youngest_left is None else swept.youngest_left + age_ms
        return replace(state, blobs=state.blobs + swept.erased, blobs_until=until, blobs_done=until is None)

    async def _aged(self, state: Erasure, *, changed: bool) -> Erasure:
        """Once no active part holds the bytes, wait until those that did have left the disk."""
        if changed or state.rewritten_at is None:
            if await self.pool.run(partial(erasure.bytes_left, of=state.deletion)):
                return replace(state, rewritten_at=None)  # a merge that was under way kept the engine from it
            state = replace(state, rewritten_at=1000 * await self.pool.run(erasure.engine_now))
        old = await self.pool.run(partial(erasure.old_parts, until=(state.rewritten_at or 0) // 1000))
        done = state.blobs_done and old == 0
        return replace(state, old_parts=old, erased_at=self._now() if done else None)

    def _begun(self, of: erasure.Erasable) -> Erasure:
        now = self._now()
        return Erasure(of, written_at=now, begun_at=now)

    def _now(self) -> int:
        return to_milliseconds(self.clock())


async def run_erasing(eraser: Eraser, ours: Callable[[], bool], stop: asyncio.Event) -> None:
    """Sweep again and again until `stop` is set, while `ours` says that this process is the one that erases.

    A store that does not answer, or refuses, is said and tried again: the deletions stay listed as not yet erased.
    """
    pause = eraser.plan.every_seconds
    while not await stopped_within(stop, pause):
        began = time.monotonic()
        try:
            if ours():
                await eraser.sweep()
        except LedgerError as error:
            log.warning("Erasure did not get through, it is tried again.", extra={"error": str(error)})
        pause = max(eraser.plan.every_seconds, (time.monotonic() - began) / eraser.plan.share)
