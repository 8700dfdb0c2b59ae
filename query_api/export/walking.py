"""The rows of an export, newest first, page by page, each by a short statement of its own, or by a few.

A page looks at a stretch of time that holds a few pages at most, so that a search over all time is many small questions
and none that is too expensive. Each page begins strictly after the last row of the one before: no row comes twice, and
what arrives above a row that was passed does not come at all.
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
    _ended: bool = False

    async def page(self) -> Sequence[RequestLog] | None:
        """The next rows, maybe none yet; None at the end. Raises `TooExpensive` and what the reader raises."""
        if self._ended or self.left == 0:
            return None
        size = self.page_rows if self.left is None else min(self.page_rows, self.left)
        top = self._top()
        while True:
            low = max(self._floor, top + 1 - self._stretch)
            try:
                rows = await self._newest(low, size)
            except TooExpensive:
                if top + 1 - low <= SHORT_MS:
                    raise
                self._shorten(top + 1 - low)
            else:
                self._step(rows, size, top, low)
                return rows

    @property
    def _floor(self) -> int:
        return self.conditions.created_from or 0

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

    def _shorten(self, failed: int) -> None:
        self._longest = failed // 2
        self._stretch = max(SHORT_MS, failed // GROWTH)

    def _step(self, rows: Sequence[RequestLog], size: int, top: int, low: int) -> None:
        if self.left is not None:
            self.left -= len(rows)
        if len(rows) == size:
            self.after = rows[-1].key
            self._stretch = min(max(1000, 2 * (top + 1 - self.after.created_at)), self._longest)
        elif low <= self._floor:
            self._ended = True
        else:  # the stretch holds no more: go on below it
            self.after = None
            self.conditions = replace(self.conditions, created_before=low)
            self._stretch = min(self._stretch * GROWTH, self._longest)


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
