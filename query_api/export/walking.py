"""The rows of an export, newest first, page by page, each by a short statement of its own, or by a few.

A page looks at a stretch of time that holds a few pages at most, so that a search over all time is many small questions
and none that is too expensive. Each page begins strictly after the last row of the one before: no row comes twice, and
what arrives above a row that was passed does not come at all. Below the oldest row there is, one question is enough:
nobody walks to 1970.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.clock import Clock, to_milliseconds
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.instants import LATEST_STORED_MS
from ledger.request_log import RequestLog, RowKey
from ledger.store.columns import ROW_COLUMNS, row_from, select_list
from query_api.candidates import strictly_before, ties
from query_api.conditions import Conditions, looks_into_bodies, where
from query_api.errors import TooExpensive
from query_api.newest import newest
from query_api.reading import Reader

PAGE_ROWS = 2000
FIRST_STRETCH_MS = 24 * 3_600_000
SHORT_MS = 60_000  # what is too expensive for less than this is not tried again
GROWTH = 8  # from a day to all time in six steps
CHEAP_STRETCHES = 16  # so many that were not full, and twice as much as was too expensive before is tried again
NOTHING = LATEST_STORED_MS + 1  # the oldest row's time where there is none


@dataclass(slots=True)
class Walk:
    """From a place on to the end, or so many rows far."""

    conditions: Conditions
    reach: Reach
    reader: Reader
    clock: Clock
    after: RowKey | None = None
    left: int | None = None  # rows; None: all
    page_rows: int = PAGE_ROWS
    _stretch: int = FIRST_STRETCH_MS
    _longest: int = LATEST_STORED_MS  # that was not found to be too expensive
    _cheap: int = 0  # stretches since something was too expensive, or since more was tried
    _oldest: int | None = None  # when the oldest row was created; None: nobody has asked yet
    _below: bool = False  # a stretch held no more, and it is gone on below it
    _ended: bool = False

    async def page(self) -> Sequence[RequestLog] | None:
        """The next rows, maybe none yet; None at the end. Raises `TooExpensive` and what the reader raises."""
        if self._ended or self.left == 0:
            return None
        await self._look_down()
        size = self.page_rows if self.left is None else min(self.page_rows, self.left)
        top = self._top()
        while True:
            low = self._low(top)
            try:
                rows = await self._newest(low, size)
            except TooExpensive:
                if top + 1 - low <= SHORT_MS:
                    raise
                self._shorten(top, low)
            else:
                self._step(rows, size, top, low)
                return rows

    @property
    def _floor(self) -> int:
        return self.conditions.created_from or 0

    def _low(self, top: int) -> int:
        """How far down from there is looked at once. What came late may be older than the oldest row there was."""
        if self._oldest is not None and top < self._oldest:
            return self._floor
        return max(self._floor, top + 1 - self._stretch)

    async def _look_down(self) -> None:
        """Look which row is the oldest, once, when the newest stretch was not full."""
        if not self._below or self._oldest is not None:
            return
        try:
            found = await self.reader.renewed().rows(oldest(self.reach))
        except TooExpensive:
            self._oldest = 0  # nobody can say it: stretches become longer on the way down
        else:
            self._oldest = int(found[0][0]) if found else NOTHING

    def missed(self, count: int) -> None:
        """So many rows of the last page are gone and were not sent: others come instead."""
        if self.left is not None:
            self.left += count

    def _top(self) -> int:
        """The latest time at which the next row can be; without any bound also rows ahead of the clock are meant."""
        if self.after is not None:
            return self.after.created_at
        before = self.conditions.created_before
        return to_milliseconds(self.clock()) if before is None else before - 1

    async def _newest(self, low: int, size: int) -> Sequence[RequestLog]:
        conditions = replace(self.conditions, created_from=low or None)
        reader = self.reader.renewed()
        if looks_into_bodies(conditions, self.reach):
            page = await newest(conditions, self.reach, reader, after=self.after, limit=size, clock=self.clock)
            return page.rows
        found = await reader.rows(standing(conditions, self.reach, self.after, size))
        return await asyncio.to_thread(lambda: [row_from(values) for values in found])

    def _shorten(self, top: int, low: int) -> None:
        failed = top + 1 - low
        if self._oldest is not None and top < self._oldest:
            self._oldest = 0  # there is more than nothing by now
        self._longest = failed // 2
        self._stretch = max(SHORT_MS, failed // GROWTH)
        self._cheap = 0

    def _step(self, rows: Sequence[RequestLog], size: int, top: int, low: int) -> None:
        if self.left is not None:
            self.left -= len(rows)
        if len(rows) == size:
            self.after = rows[-1].key
            self._stretch = min(max(1000, 2 * (top + 1 - self.after.created_at)), self._longest)
        elif low <= self._floor:
            self._ended = True
        else:  # the stretch holds no more: go on below it
            self.after, self._below = None, True
            self.conditions = replace(self.conditions, created_before=low)
            self._lengthen()

    def _lengthen(self) -> None:
        self._cheap += 1
        if self._cheap >= CHEAP_STRETCHES:
            self._longest, self._cheap = min(2 * self._longest, LATEST_STORED_MS), 0
        self._stretch = min(self._stretch * GROWTH, self._longest)


def oldest(reach: Reach) -> Statement:
    """When the oldest row within reach was created, or no row of an answer; one that has gone may count.

    The first row in the table's order says it for one project. For all of them the parts' own bounds do, which only
    holds where nothing else is asked.
    """
    bound = Bound()
    if reach.project is None:
        return bound.statement("SELECT toUnixTimestamp64Milli(min(created_at)) FROM request_logs HAVING count() > 0")
    return bound.statement(
        "SELECT toUnixTimestamp64Milli(created_at) AS created_at_ms FROM request_logs"
        f" WHERE {reach.clause(bound)} ORDER BY created_at LIMIT 1"
    )


def standing(conditions: Conditions, reach: Reach, after: RowKey | None, limit: int) -> Statement:
    """The newest rows after this one, whole and at once: a page of an export lies together in the store's order.

    (A list wants few rows of many, and finds their keys first.)
    """
    bound = Bound()
    clause = where(conditions, reach, bound)
    if after is not None:
        clause += f" AND {strictly_before(after, reach, bound)}"
    return bound.statement(
        f"SELECT {select_list(ROW_COLUMNS)} FROM request_logs FINAL WHERE {clause}"
        f" ORDER BY created_at DESC, {ties(reach, 'DESC')} LIMIT {bound.value(limit, 'UInt64')}"
    )
