"""Which rows are new: those whose last event lies between two sets of places of the bus.

A row carries the place of the last event that was folded into it, so an update makes it new again. Both ends of a
window are settled, so nothing can appear in it later; a row that is updated meanwhile leaves it for a later one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import merge

from ledger.bus import Position
from ledger.engine_time import TIME, time_text
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, from_int
from ledger.request_log import RequestLog, RowKey
from query_api.conditions import Conditions, where
from query_api.reading import KEY_LIST, Reader
from query_api.tail.positions import Place, Places

MOST_NAMED = 1000
"""So many calls are named one by one in a statement."""

_SPAN = "count(), toUnixTimestamp64Milli(min(created_at)), toUnixTimestamp64Milli(max(created_at))"
_PLACE_LIST = "bus_generation, bus_partition, bus_offset, toUnixTimestamp64Milli(updated_at) AS updated_at_ms"


@dataclass(frozen=True, slots=True)
class Window:
    """After these places, up to those; of calls that were accepted, and created, at these instants or later."""

    after: Places
    up_to: Places
    accepted_from: int = 0  # milliseconds since 1970, as the next
    created_from: int = 0

    @property
    def moved(self) -> list[tuple[Place, int, int]]:
        """Each partition that has something new, with the first and the last offset of it."""
        first = {place: self.after.get(place, -1) + 1 for place in self.up_to}
        return [(place, first[place], last) for place, last in sorted(self.up_to.items()) if first[place] <= last]

    def before(self, new: "Sequence[New]") -> Places:
        """How far a reader is who leaves out everything before these rows."""
        lasts = {place: last for place, _, last in self.moved}
        for item in new:
            lasts[item.place] = min(lasts[item.place], item.position.offset - 1)
        return {place: last for place, last in lasts.items() if last >= 0}

    def clause(self, bound: Bound) -> str:
        """The condition on rows, as they stand now or in any version."""
        parts = (
            f"(bus_generation = {bound.value(generation, 'UInt8')}"
            f" AND bus_partition = {bound.value(partition, 'UInt16')}"
            f" AND bus_offset >= {bound.value(first, 'UInt64')} AND bus_offset <= {bound.value(last, 'UInt64')})"
            for (generation, partition), first, last in self.moved
        )
        times = (("ingested_at", self.accepted_from), ("created_at", self.created_from))
        bounds = (f" AND {column} >= {bound.time(ms)}" for column, ms in times if ms)
        return f"({' OR '.join(parts)}){''.join(bounds)}"


@dataclass(frozen=True, slots=True)
class New:
    """A row that is new, without its content."""

    key: RowKey
    position: Position
    updated_at: int

    @property
    def place(self) -> Place:
        """The partition that its last event came from."""
        return self.position.generation, self.position.partition


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Calls that match and are not sent; `count` is None where nobody has counted them. Times are of their creation."""

    count: int | None
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Among(Reach):
    """Only the calls of these milliseconds and, if they are few, of these ids: of no others are bodies looked at."""

    first: int = 0
    last: int = 0
    times: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()

    def clause(self, bound: Bound) -> str:
        """As of every reach."""
        parts = [Reach.clause(self, bound), f"created_at >= {bound.time(self.first)}"]
        parts.append(f"created_at <= {bound.time(self.last)}")
        if self.ids:
            times = bound.value([time_text(ms) for ms in self.times], f"Array({TIME})")
            parts += [f"created_at IN {times}", f"id IN {bound.value(list(self.ids), 'Array(UInt128)')}"]
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class Windows:
    """Reads windows, a few statements at a time, so that tails leave room for everybody else."""

    reader: Reader
    turns: asyncio.Semaphore

    async def matching(
        self, window: Window, conditions: Conditions, reach: Reach, most: int
    ) -> tuple[list[New], LeftOut | None]:
        """The newest rows of the window that match, in order, and what had to be left out.

        Raises what the reader raises.
        """
        async with self.turns:
            reader = self.reader.renewed()
            among = await _among(window, reach, reader)
            if among is None:
                return [], None
            found = [_new(values) for values in await reader.rows(_newest(window, conditions, among, most))]
            if len(found) <= most:
                return in_order(found), None
            count, first, last = (await reader.rows(_older(window, conditions, among, most)))[0]
            return in_order(found[:most]), LeftOut(count, first, last) if count else None

    async def contents(self, new: Sequence[New]) -> dict[RowKey, RequestLog]:
        """The rows that still are as they were found: one that was updated or deleted since is left for later."""
        async with self.turns:
            logs = await self.reader.renewed().logs([item.key for item in new])
        return {
            item.key: logs[item.key] for item in new if item.key in logs and logs[item.key].position == item.position
        }


async def _among(window: Window, reach: Reach, reader: Reader) -> _Among | None:
    """Which calls have any version in the window; None when there are none."""
    count, first, last, times, ids = (await reader.rows(_candidates(window, reach)))[0]
    if not count:
        return None
    named = (tuple(sorted(set(times))), tuple(sorted(set(ids)))) if count <= MOST_NAMED else ((), ())
    return _Among(reach.project, reach.retained, first, last, *named)


def in_order(found: Sequence[New]) -> list[New]:
    """In the order of places within a partition, and between partitions in that of time."""
    lanes: dict[Place, list[New]] = {}
    for item in sorted(found, key=lambda item: item.position):
        lanes.setdefault(item.place, []).append(item)
    return list(merge(*lanes.values(), key=lambda item: item.updated_at))


def _candidates(window: Window, reach: Reach) -> Statement:
    """Asked of all versions, without putting them together: cheap, and no row that is meant can be missed by it."""
    bound = Bound()
    return bound.statement(
        f"SELECT {_SPAN}, groupArray({MOST_NAMED})(toUnixTimestamp64Milli(created_at)), groupArray({MOST_NAMED})(id)"
        f" FROM request_logs WHERE {reach.clause(bound)} AND {window.clause(bound)}"
    )


def _newest(window: Window, conditions: Conditions, among: _Among, most: int) -> Statement:
    bound = Bound()
    return bound.statement(
        f"SELECT {KEY_LIST}, {_PLACE_LIST} FROM request_logs FINAL WHERE {_matching(window, conditions, among, bound)}"
        f" {_ORDER} LIMIT {bound.value(most + 1, 'UInt64')}"
    )


def _older(window: Window, conditions: Conditions, among: _Among, most: int) -> Statement:
    bound = Bound()
    clause = _matching(window, conditions, among, bound)
    return bound.statement(
        f"SELECT {_SPAN} FROM (SELECT created_at FROM request_logs FINAL WHERE {clause}"
        f" {_ORDER} OFFSET {bound.value(most, 'UInt64')} ROWS)"
    )


_ORDER = "ORDER BY updated_at DESC, bus_offset DESC, created_at DESC, id DESC, project DESC"


def _matching(window: Window, conditions: Conditions, among: _Among, bound: Bound) -> str:
    unbounded = replace(conditions, created_from=None, created_before=None)
    return f"{where(unbounded, among, bound)} AND {window.clause(bound)}"


def _new(values: Sequence[int]) -> New:
    project, created_at, id_, generation, partition, offset, updated_at = values
    key = RowKey(ProjectId(str(project)), created_at, from_int(id_))
    return New(key, Position(generation, partition, offset), updated_at)
