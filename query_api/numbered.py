"""The rows of one numbered page of the documented list, in any of its orders.

The first pages come from candidates of any version, judged as they stand; deeper ones, and conditions that look into
texts, from deduplicated rows (`FINAL`), which is exact at any depth and costs accordingly.
"""

from collections.abc import Sequence

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId, from_int
from ledger.request_log import RequestLog, RowKey
from query_api import candidates, listing
from query_api.candidates import Order, each_once
from query_api.conditions import looks_into_bodies
from query_api.newest import MARGIN, MOST_CANDIDATES, newest
from query_api.parameters import NumberedPage
from query_api.reading import Reader
from query_api.sorting import SORTS

DEEPEST_OF_CANDIDATES = 200
"""Rows up to the end of the page: beyond it, reading whole rows that are not shown costs more than `FINAL` does."""


async def rows_of(page: NumberedPage, reach: Reach, reader: Reader, clock: Clock) -> Sequence[RequestLog]:
    """The page's rows, in its order."""
    end = page.offset + page.size
    if end <= DEEPEST_OF_CANDIDATES:
        if page.sort == SORTS["createdAt"] and not page.ascending:
            found = await newest(page.conditions, reach, reader, after=None, limit=end, clock=clock)
            return found[page.offset :]
        if not looks_into_bodies(page.conditions):
            return (await _first(page, reach, reader, end))[page.offset :]
    return await _deduplicated(page, reach, reader)


async def _first(page: NumberedPage, reach: Reach, reader: Reader, end: int) -> Sequence[RequestLog]:
    """The first rows in the page's order: candidates are taken until enough of them stand where they were found."""
    order = Order(page.sort.expression, "ASC" if page.ascending else "DESC")
    size = end + MARGIN
    while size <= MOST_CANDIDATES:
        places = [
            (RowKey(ProjectId(project), created_at, from_int(id_)), place)
            for project, created_at, id_, place in await reader.rows(
                candidates.in_order(page.conditions, reach, order, size)
            )
        ]
        keys = each_once(key for key, _ in places)
        found = await candidates.standing(keys, page.conditions, reach, reader, order) if keys else {}
        rows = [found[key].row for key, place in dict.fromkeys(places) if key in found and found[key].place == place]
        if len(rows) >= end or len(places) < size:
            return rows[:end]
        size *= 4
    return await _deduplicated(page, reach, reader)


async def _deduplicated(page: NumberedPage, reach: Reach, reader: Reader) -> Sequence[RequestLog]:
    keys = await reader.keys(listing.numbered(page, reach))
    return list((await reader.logs(keys)).values())
