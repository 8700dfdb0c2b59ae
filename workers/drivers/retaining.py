"""Deletion for age, beside the pipeline: what is no longer kept is hidden at once; this takes its bytes away.

A run asks the tables what is left to do, so it may be cut short anywhere and run again. Before it deletes, everyone who
reads has learned of the bound; and what a policy that was set meanwhile keeps again is left where it is. A clock that
has leapt ahead deletes nothing for a day.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ledger.blobs import ErasableBlobs
from ledger.clock import Clock, to_milliseconds
from ledger.errors import LedgerError, Unavailable
from ledger.filtering.retained import Retained
from ledger.ids import ProjectId
from ledger.retention import DAY_MS, Installation, day_of
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention import Run, latest_run, note_run, read_policies
from ledger.store.retention_clock import doubt_of
from ledger.store.retention_deleting import Cut, projects_with_media
from ledger.store.retention_room import Room, bytes_by_table, bytes_of_tables, days_to_go
from workers.drivers.erasing_blobs import BlobAge, sweep_blobs
from workers.drivers.retaining_tables import Pause, TableDeletion
from workers.drivers.stopping import stopped_within

log = logging.getLogger(__name__)

_EVER = 2**62  # milliseconds: a blob that nothing names is ours whenever it was written


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


_ASKING = (
    "The store was larger than its default cap when this process began, so nothing is deleted for the cap's sake: set"
    " LLMLEDGER_RETENTION__MAX_GB to what it may take; beyond that the oldest calls go."
)
_USELESS = (
    "The store is larger than its cap, and the days that may go would not make enough room: nothing is deleted for the"
    " cap's sake. When the disk is full, no more is accepted. See what takes the room, or set"
    " LLMLEDGER_RETENTION__MAX_GB."
)


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
    _fitted: bool = False  # whether this process has seen the tables below their cap
    _complained_at: int | None = None
    _media_due: dict[ProjectId, int] = field(default_factory=dict)  # projects with media that were too young

    async def look(self) -> None:
        """Do what is due. Raises `Unavailable`, `StoreBroken`: the next look goes on."""
        try:
            latest = await self.pool.run(latest_run)
            if await self._is_doubted(latest):
                return
            await self._do_due(latest)
            await self._fit_below_cap()
        except LedgerError:
            self._answers_since = None
            raise

    async def _do_due(self, latest: Run | None) -> None:
        if latest is None or latest.finished_at is None or self._is_over(latest.finished_at):
            try:
                await self.run()
            except LedgerError:
                await self._make_room_all_the_same()
                raise
        elif self._is_quiet() and (
            due := [of for of in latest.blobs_owed if self._now() >= self._media_due.get(of, 0)]
        ):
            await self._sweep_blobs(latest, due)

    async def _make_room_all_the_same(self) -> None:
        """After a run that failed, perhaps for want of room; that failure is the one that counts."""
        try:
            await self._fit_below_cap()
        except LedgerError as error:
            log.error("The store could not be brought below its cap either.", extra={"error": str(error)})

    async def _is_doubted(self, latest: Run | None) -> bool:
        """Whether the clock has leapt ahead; noted once, for the doctor and for the next start."""
        now = self._now()
        doubt = await self.pool.run(partial(doubt_of, now=now))
        if doubt and doubt.noted_at is None:
            begun = max(now, latest.begun_at + 1 if latest else 0)
            owed = latest.blobs_owed if latest else ()
            await self._noted(Run(begun, now - 1, blobs_owed=owed, error=doubt.words(now)))
            why = "Nothing is deleted for its age until the clock has been right for a day."
            log.error(why, extra={"error": doubt.words(now)})
        return doubt is not None

    async def run(self, cut_before: int | None = None) -> Run:
        """Delete all that is no longer kept: by days, and of every project what is older than `cut_before`.

        Raises `Unavailable` or `StoreBroken`, and then has noted why.
        """
        before = await self.pool.run(latest_run)
        begun = max(self._now(), before.begun_at + 1 if before else 0)
        owed = before.blobs_owed if before else ()
        run = await self._noted(Run(begun, begun, cut_before=cut_before, blobs_owed=owed))
        try:
            known = Cut(await self._retained(), self._now())
            run = await self._owing(run, known)
            run = await self._carried_out(run, known)
        except LedgerError as error:
            await self._noted(replace(run, error=str(error)[:500]))
            raise
        await self._delete_unfinished()
        extra = {"rows": run.rows, "parts": run.parts, "blobs": run.blobs, "seconds": (self._now() - begun) / 1000}
        log.info("What is no longer kept was deleted.", extra=extra)
        return run

    async def _delete_unfinished(self) -> None:
        """What killed processes have left in a folder of blobs, where nothing lists it. Looked for in each run."""
        try:
            count = await self.blobs.delete_unfinished(self._now() - DAY_MS)
        except Unavailable as error:
            log.warning("What is unfinished in the blob store could not be deleted.", extra={"error": str(error)})
            return
        if count:
            log.info("Unfinished files were deleted from the blob store.", extra={"files": count})

    async def _owing(self, run: Run, known: Cut) -> Run:
        """Whose media are to be looked through, noted before the rows are gone that name them."""
        media = await self.pool.run(partial(projects_with_media, cut=known))
        owed = tuple(sorted({*run.blobs_owed, *media}))
        return run if owed == run.blobs_owed else await self._noted(replace(run, blobs_owed=owed))

    async def _carried_out(self, run: Run, known: Cut) -> Run:
        await self.pause(self.plan.settle_seconds)
        cut = Cut(known.retained.laxer(await self._retained()), known.now)
        tables = TableDeletion(self.pool, cut, self._retained, self.pause, self.plan.mutation_seconds)
        await tables.carry_out()
        run = replace(run, parts=tables.parts, rows=tables.rows)
        if self._is_quiet():
            run = await self._sweep_blobs(run, run.blobs_owed)
        return await self._noted(replace(run, finished_at=self._now()))

    async def _sweep_blobs(self, run: Run, projects: Sequence[ProjectId]) -> Run:
        """Erase the blobs that nothing names any more, of one project after the other.

        A project stays owed while such a blob is too young to say that nobody is still storing what names it.
        """
        patience = int(self.plan.blob_seconds * 1000)
        for project in projects:
            swept = await sweep_blobs(self.pool, self.blobs, project, BlobAge(_EVER, self._now() - patience))
            owed = run.blobs_owed
            if swept.youngest_left is None:
                owed = tuple(other for other in owed if other != project)
                self._media_due.pop(project, None)
            else:
                self._media_due[project] = min(swept.youngest_left, self._now()) + patience + 1
            run = await self._noted(replace(run, blobs=run.blobs + swept.erased, blobs_owed=owed))
        return run

    async def _fit_below_cap(self) -> None:
        """While the tables take more than the cap, the oldest day of all projects goes; if that is of any use."""
        most = self.installation.max_bytes
        if most is None:
            return
        size = await self.pool.run(bytes_of_tables)
        if size <= most:
            self._fitted, self._complained_at = True, None
            return
        if self.installation.cap_is_default and not self._fitted:
            await self._complain(_ASKING, {"bytes": size, "cap_bytes": most})
            return
        while size > most * self.plan.full_share and (left := await self._first_day_left(size, most)) is not None:
            extra = {"bytes": size, "cap_bytes": most, "before": left}
            log.warning("The store is larger than its cap: the oldest calls go.", extra=extra)
            run = await self.run(cut_before=left)
            size = await self.pool.run(bytes_of_tables)
            extra = {"bytes": size, "cap_bytes": most, "before": left, "rows": run.rows}
            log.warning("The oldest calls of all projects were deleted for the cap's sake.", extra=extra)

    async def _first_day_left(self, size: int, most: int) -> int | None:
        """Before which instant calls have to go; None where that would not be enough, or is under way."""
        room = Room(int(size - most * self.plan.full_share), day_of(self._now()) - DAY_MS)
        days = await self.pool.run(partial(days_to_go, room=room))
        if not days.are_enough:
            await self._complain(_USELESS, {"bytes": size, "cap_bytes": most, "bytes_of_old_days": days.bytes})
            return None
        hidden = await self.pool.run(partial(read_policies, installation=self.installation))
        return days.left if (days.left or 0) > (hidden.cut_before or 0) else None

    async def _complain(self, sentence: str, sizes: dict[str, int]) -> None:
        """Say it loudly, once a day while it lasts."""
        if self._complained_at is None or self._is_over(self._complained_at):
            self._complained_at = self._now()
            log.error(sentence, extra={**sizes, "tables": await self.pool.run(bytes_by_table)})

    def _is_over(self, finished_at: int) -> bool:
        """Whether the next run is due, or the clock was put back."""
        since = self._now() - finished_at
        return since < 0 or since >= self.plan.run_seconds * 1000

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
    while not await stopped_within(stop, pause):
        pause = retainer.plan.look_seconds
        try:
            if ours():
                await retainer.look()
        except LedgerError as error:
            log.error("What is no longer kept could not be deleted, it is tried again.", extra={"error": str(error)})
