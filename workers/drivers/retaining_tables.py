"""One deletion for age from the tables: whole parts first, then the rows of parts that hold more.

Right before each statement that deletes, the policies are read again. Where one of them keeps more by now, that counts,
and what is to go is asked anew: a longer time saves whatever is not gone at that moment.
"""

import logging
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, replace
from functools import partial

from ledger.filtering.retained import Retained
from ledger.store import StoreBroken
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention_deleting import ROW_TABLES, TABLES, Cut, Lot, delete_rows, drop_part, lots, mutations

log = logging.getLogger(__name__)

Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class TableDeletion:
    """Deletes what is kept neither by its cut nor by what the policies say meanwhile."""

    pool: ClickHousePool
    cut: Cut
    kept: Callable[[], Awaitable[Retained]]  # by the policies of this moment
    pause: Pause
    mutation_seconds: float  # between two looks at what the engine is writing anew
    parts: int = 0  # dropped as a whole
    rows: int = 0  # deleted

    async def carry_out(self) -> None:
        """Delete it. Raises `Unavailable`, `StoreBroken`; whole months are gone then even where rows could not be."""
        await self._drop_whole_months()
        for table in TABLES:
            await self._drop_parts(table)
            await self._delete_rows(table)

    async def _drop_whole_months(self) -> None:
        """Before anything is written anew, which needs room and may fail.

        The bodies of a month stay until its rows are gone: what is still there could be kept again.
        """
        rows, bodies = ROW_TABLES
        await self._drop_parts(rows)
        mixed = {lot.partition for lot in await self._lots(rows)}
        await self._drop_parts(bodies, sparing=mixed)

    async def _drop_parts(self, table: str, sparing: Set[str] = frozenset()) -> None:
        found = [lot for lot in await self._lots(table) if lot.partition not in sparing]
        for part, rows in [part for lot in found for part in lot.whole_parts]:
            if await self._is_laxer():
                return await self._drop_parts(table, sparing)
            if await self._dropped(table, part):
                self.parts, self.rows = self.parts + 1, self.rows + rows
        return None

    async def _delete_rows(self, table: str) -> None:
        for lot in await self._lots(table):
            await self._written_anew()  # of a run that was cut short: to ask for it again would queue it
            if await self._is_laxer():
                return await self._delete_rows(table)
            await self.pool.run(partial(delete_rows, table=table, partition=lot.partition, cut=self.cut))
            await self._written_anew()
            self.rows += lot.rows
        return None

    async def _lots(self, table: str) -> list[Lot]:
        return await self.pool.run(partial(lots, table=table, cut=self.cut))

    async def _is_laxer(self) -> bool:
        """Whether more is kept than was known; from now on it is."""
        retained = self.cut.retained.laxer(await self.kept())
        if retained == self.cut.retained:
            return False
        self.cut = replace(self.cut, retained=retained)
        log.warning("More is to be kept since the deletion began: what is not gone yet of that stays.")
        return True

    async def _dropped(self, table: str, part: str) -> bool:
        try:
            await self.pool.run(partial(drop_part, table=table, part=part))
        except StoreBroken as error:
            extra = {"table": table, "part": part, "error": str(error)}
            log.warning("A part was merged into another before it could be dropped: its rows are deleted.", extra=extra)
            return False
        return True

    async def _written_anew(self) -> None:
        """Wait until the engine has written all parts anew. Raises `StoreBroken` when it cannot."""
        seconds = self.mutation_seconds / 64
        while waiting := await self.pool.run(mutations):
            failures = [f"{of.table} {of.id}: {of.failure}" for of in waiting if of.failure]
            if failures:
                raise StoreBroken(f"The store cannot write parts anew, and tries again: {failures[0]}")
            await self.pause(seconds)
            seconds = min(2 * seconds, self.mutation_seconds)
