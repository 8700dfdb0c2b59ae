"""Deletion for age, beside the pipeline: what is no longer kept is hidden at once; this takes its bytes away.

A run asks the tables what is left to do, so it may be cut short anywhere and run again. Before it deletes, everyone who
reads has learned of the bound; and what a policy that was set meanwhile keeps again is left where it is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ledger.blobs import ErasableBlobs
from ledger.clock import Clock, to_milliseconds
from ledger.errors import LedgerError
from ledger.filtering.retained import Retained
from ledger.ids import ProjectId
from ledger.retention import DAY_MS, Installation, day_of
from ledger.store import StoreBroken
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention import Run, latest_run, note_run, read_policies
from ledger.store.retention_deleting import (
    TABLES,
    Cut,
    Lot,
    delete_rows,
    drop_part,
    lots,
    mutations,
    projects_with_media,
)
from ledger.store.retention_room import Room, bytes_of_tables, first_day_left
from workers.drivers.erasing_blobs import BlobAge, sweep_blobs

log = logging.getLogger(__name__)

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RetainingPlan:
    """How patient it is."""

    first_seconds: float = 120.0  # from the start to the first look
    look_seconds: float = 300.0  # between two looks: is a run due, do the tables take too much
    run_seconds: float = 24 * 3600.0  # between two runs
    settle_seconds: float = 20.0  # so long after a bound is known, everyone who reads knows it
    mutation_seconds: float = 1.0  # between two looks at what the engine is writing anew
    blob_seconds: float = 24 * 3600.0  # a blob younger than this may belong to a report that is still being stored
    quiet_seconds: float = 600.0  # so long the store has answered: rows that had waited for it are written by then
    full_share: float = 0.9  # of the disk cap: what is left after a cut


@dataclass(slots=True)
class Retainer:
    """Deletes what is no longer kept."""

    pool: ClickHousePool
    blobs: ErasableBlobs
    clock: Clock
    installation: Installation = field(default_factory=Installation)
    plan: RetainingPlan = field(default_factory=RetainingPlan)
    pause: Pause = asyncio.sleep
    _answers_since: int | None = None

    async def look(self) -> None:
        """Do what is due. Raises `Unavailable`, `StoreBroken`: the next look goes on."""
        try:
            latest = await self.pool.run(latest_run)
            if latest is None or latest.finished_at is None or self._is_over(latest.finished_at):
                await self.run()
            elif latest.blobs_owed and self._is_quiet():
                await self._sweep_blobs(latest)
            await self._fit_below_cap()
        except LedgerError:
            self._answers_since = None
            raise

    async def run(self, cut_before: int | None = None) -> Run:
        """Delete all that is no longer kept: by days, and of every project what is older than `cut_before`.

        Raises `Unavailable` or `StoreBroken`, and then has noted why.
        """
        before = await self.pool.run(latest_run)
        begun = max(self._now(), before.begun_at + 1 if before else 0)
        owed = before.blobs_owed if before else ()
        run = await self._noted(Run(begun, begun, cut_before=cut_before, blobs_owed=owed))
        try:
            run = await self._carried_out(run)
        except LedgerError as error:
            await self._noted(replace(run, error=str(error)[:500]))
            raise
        extra = {"rows": run.rows, "parts": run.parts, "blobs": run.blobs, "seconds": (self._now() - begun) / 1000}
        log.info("What is no longer kept was deleted.", extra=extra)
        return run

    async def _carried_out(self, run: Run) -> Run:
        known = Cut(await self._retained(), self._now())
        media = await self.pool.run(partial(projects_with_media, cut=known))
        owed = tuple(sorted({*run.blobs_owed, *media}))
        if owed != run.blobs_owed:
            run = await self._noted(replace(run, blobs_owed=owed))  # before their rows are gone
        await self.pause(self.plan.settle_seconds)
        for table in TABLES:
            cut = Cut(known.retained.laxer(await self._retained()), known.now)
            for lot in await self.pool.run(partial(lots, table=table, cut=cut)):
                run = await self._without(lot, cut, run)
        if self._is_quiet():
            run = await self._sweep_blobs(run)
        return await self._noted(replace(run, finished_at=self._now()))

    async def _without(self, lot: Lot, cut: Cut, run: Run) -> Run:
        """One partition of one table, and what is so done."""
        dropped = 0
        for part in lot.whole_parts:
            dropped += await self._dropped(lot, part)
        if lot.other_rows or dropped < len(lot.whole_parts):
            await self._written_anew()  # of a run that was cut short: to ask for it again would queue it
            await self.pool.run(partial(delete_rows, table=lot.table, partition=lot.partition, cut=cut))
            await self._written_anew()
        return replace(run, parts=run.parts + dropped, rows=run.rows + lot.whole_rows + lot.other_rows)

    async def _dropped(self, lot: Lot, part: str) -> bool:
        try:
            await self.pool.run(partial(drop_part, table=lot.table, part=part))
        except StoreBroken as error:
            extra = {"table": lot.table, "part": part, "error": str(error)}
            log.warning("A part was merged into another before it could be dropped: its rows are deleted.", extra=extra)
            return False
        return True

    async def _written_anew(self) -> None:
        """Wait until the engine has written all parts anew. Raises `StoreBroken` when it cannot."""
        seconds = self.plan.mutation_seconds / 64
        while waiting := await self.pool.run(mutations):
            failures = [f"{of.table} {of.id}: {of.failure}" for of in waiting if of.failure]
            if failures:
                raise StoreBroken(f"The store cannot write parts anew, and tries again: {failures[0]}")
            await self.pause(seconds)
            seconds = min(2 * seconds, self.plan.mutation_seconds)

    async def _sweep_blobs(self, run: Run) -> Run:
        """Erase the blobs that nothing names any more, of one project after the other."""
        for project in run.blobs_owed:
            old = self._now() - int(self.plan.blob_seconds * 1000)
            swept = await sweep_blobs(self.pool, self.blobs, project, BlobAge(old, old))
            left: tuple[ProjectId, ...] = tuple(other for other in run.blobs_owed if other != project)
            run = await self._noted(replace(run, blobs=run.blobs + swept.erased, blobs_owed=left))
        return run

    async def _fit_below_cap(self) -> None:
        """While the tables take more than the cap, the oldest day of all projects goes."""
        most = self.installation.max_bytes
        if most is None or (size := await self.pool.run(bytes_of_tables)) <= most:
            return
        while size > most * self.plan.full_share:
            since = (await self._policies_cut()) or 0
            room = Room(int(size - most * self.plan.full_share), since, day_of(self._now()) - DAY_MS)
            left = await self.pool.run(partial(first_day_left, room=room))
            extra = {"bytes": size, "cap_bytes": most}
            if left is None:
                log.error("The store is larger than its cap, and no day is old enough to go.", extra=extra)
                return
            log.warning("The store is larger than its cap: the oldest calls go.", extra={**extra, "before": left})
            run = await self.run(cut_before=left)
            size = await self.pool.run(bytes_of_tables)
            extra = {"bytes": size, "cap_bytes": most, "before": left, "rows": run.rows}
            log.warning("The oldest calls of all projects were deleted for the cap's sake.", extra=extra)

    def _is_over(self, finished_at: int) -> bool:
        """Whether the next run is due, or the clock was put back."""
        since = self._now() - finished_at
        return since < 0 or since >= self.plan.run_seconds * 1000

    async def _policies_cut(self) -> int | None:
        return (await self.pool.run(partial(read_policies, installation=self.installation))).cut_before

    async def _retained(self) -> Retained:
        policies = await self.pool.run(partial(read_policies, installation=self.installation))
        return policies.retained(self._now())

    async def _noted(self, run: Run) -> Run:
        """The run, written down as it stands."""
        run = replace(run, written_at=max(self._now(), run.written_at + 1))
        await self.pool.run(partial(note_run, run=run))
        return run

    def _is_quiet(self) -> bool:
        """Whether the store has answered for so long that no row waits for it whose blobs are stored already."""
        if self._answers_since is None:
            self._answers_since = self._now()
        return self._now() >= self._answers_since + int(self.plan.quiet_seconds * 1000)

    def _now(self) -> int:
        return to_milliseconds(self.clock())


async def run_retaining(retainer: Retainer, ours: Callable[[], bool], stop: asyncio.Event) -> None:
    """Look again and again until `stop` is set, while `ours` says that this process is the one that deletes.

    What goes wrong is said and tried again; it keeps nothing else from working.
    """
    pause = retainer.plan.first_seconds
    while not await _stopped(stop, pause):
        pause = retainer.plan.look_seconds
        try:
            if ours():
                await retainer.look()
        except LedgerError as error:
            log.error("What is no longer kept could not be deleted, it is tried again.", extra={"error": str(error)})


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
