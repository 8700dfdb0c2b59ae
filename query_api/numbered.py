"""The rows of one numbered page of the documented list, in any of its orders.

The first pages come from candidates of any version, judged as they stand; deeper ones, and conditions that look into
texts, from deduplicated rows (`FINAL`), which is exact at any depth and costs accordingly.
"""

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId, RecordId
from ledger.request_log import RequestLog, RowKey
from query_api import candidates, listing
from query_api.candidates import Order, each_once
from query_api.conditions import looks_into_bodies
from query_api.newest import MARGIN, MOST_CANDIDATES, newest
from query_api.parameters import NumberedPage
from query_api.reading import Reader, key_of
from query_api.sorting import SORTS

DEEPEST_OF_CANDIDATES = 200
"""Rows up to the end of the page: beyond it, reading whole rows that are not shown costs more than `FINAL` does."""

Place: TypeAlias = tuple[RowKey, Any]
"""A key and the value that it is sorted by."""


async def rows_of(page: NumberedPage, reach: Reach, reader: Reader, clock: Clock) -> Sequence[RequestLog]:
    """The page's rows, in its order."""
    end = page.offset + page.size
    if end <= DEEPEST_OF_CANDIDATES:
        if page.sort == SORTS["createdAt"] and not page.ascending:
            found = await newest(page.conditions, reach, reader, after=None, limit=end, clock=clock)
            return found.rows[page.offset :]
        if not looks_into_bodies(page.conditions, reach):
            return (await _first(page, reach, reader, end))[page.offset :]
    return await _deduplicated(page, reach, reader)


async def _first(page: NumberedPage, reach: Reach, reader: Reader, end: int) -> Sequence[RequestLog]:
    """The first rows in the page's order: candidates are taken until enough rows stand no later than the last of them.

    A row stands where its newest version puts it, also when that was written after the candidates were found.
    """
    order = Order(page.sort.expression, "ASC" if page.ascending else "DESC")
    size = end + MARGIN
    while size <= MOST_CANDIDATES:
        places = await _candidates(page, reach, reader, order, size)
        keys = each_once(key for key, _ in places)
        found = await candidates.standing(keys, page.conditions, reach, reader, order) if keys else {}
        stands = {(key, each.place) for key, each in found.items()}
        if len(places) < size:
            return [found[key].row for key, _ in _sorted(stands, order)][:end]
        last = places[-1]
        ordered = _sorted(stands | {last}, order)
        rows = [found[place[0]].row for place in ordered[: ordered.index(last) + 1] if place in stands]
        if len(rows) >= end:
            return rows[:end]
        size *= 4
    return await _deduplicated(page, reach, reader)


async def _candidates(page: NumberedPage, reach: Reach, reader: Reader, order: Order, size: int) -> list[Place]:
    rows = await reader.rows(candidates.in_order(page.conditions, reach, order, size))
    return [(key_of(values), values[3]) for values in rows]


def _sorted(places: Collection[Place], order: Order) -> list[Place]:
    """As the engine sorts them: unknown values last, ids and projects between equal ones."""

    def value_and_ties(place: Place) -> tuple[Any, RecordId, ProjectId]:
        return place[1], place[0].id, place[0].project

    def ties(place: Place) -> tuple[RecordId, ProjectId]:
        return place[0].id, place[0].project

    downwards = order.way == "DESC"
    known = sorted((place for place in places if place[1] is not None), key=value_and_ties, reverse=downwards)
    unknown = sorted((place for place in places if place[1] is None), key=ties, reverse=downwards)
    return [*known, *unknown]


async def _deduplicated(page: NumberedPage, reach: Reach, reader: Reader) -> Sequence[RequestLog]:
    keys = await reader.keys(listing.numbered(page, reach))
    return list((await reader.logs(keys)).values())
