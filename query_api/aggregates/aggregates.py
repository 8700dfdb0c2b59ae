"""Questions → exact aggregates: those units that are known from before, the others computed at once, in one statement.

A row never leaves the unit of its time, so the aggregate of a range is the sum of its units'. What is kept of a unit
is used again only while the parts that can hold its rows are the same; it is kept only if they were the same before
and after it was computed. A unit that several ask for at the same time is computed once.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.clock import Clock, to_milliseconds
from ledger.counted_log import CountedLog
from ledger.errors import LedgerError
from ledger.store import StoreBroken
from query_api.aggregates import rare
from query_api.aggregates.cache import AggregateCache, CacheLimits, Name
from query_api.aggregates.flights import Flight, Flights
from query_api.aggregates.partials import Partial, partial_from
from query_api.aggregates.parts import Parts, read_parts
from query_api.aggregates.questions import LIMITS, Question, statement
from query_api.aggregates.spans import ALL_TIME, DAY_MS, Period, Span
from query_api.aggregates.units import Unit, units_of
from query_api.errors import TooExpensive
from query_api.reading import Reader
from query_api.together import all_of

log = logging.getLogger(__name__)

MOST_AT_ONCE_MS = 95 * DAY_MS
"""So much time is read by one statement; a longer unit by one of its own."""

MOST_GROUPS = 400_000
"""So many groups, each counted in every unit that it is in, are added up for one answer."""

Computed = Mapping[Period, Partial]
Joined = tuple["_Wanted", Flight[Name, "Computed"]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A unit of a question, and the name under which its aggregate is kept."""

    unit: Unit
    name: Name


class Aggregates:
    """Answers questions from one cache. One per process, for the requests of its event loop."""

    def __init__(self, clock: Clock, limits: CacheLimits | None = None, *, most_groups: int = MOST_GROUPS) -> None:
        self._clock = clock
        self._cache = AggregateCache(limits)
        self._flights = Flights[Name, Computed]()
        self._most_groups = most_groups
        self._log = CountedLog(log)

    async def of(self, questions: Sequence[Question], span: Span, reader: Reader) -> list[list[Partial]]:
        """For each question the aggregates of disjoint sets of rows that make up the span.

        Raises `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`.
        """
        parts = await self._parts(frozenset().union(*(asked.tables for asked in questions)), reader)
        if parts is None:
            answers = [self._afresh(asked, span, reader) for asked in questions]
        else:
            answers = [self._answer(asked, span, parts, reader) for asked in questions]
        found = await all_of(*answers)
        self._check_groups(partial for answer in found for partial in answer)
        return list(found)

    async def _parts(self, tables: Collection[str], reader: Reader) -> Parts | None:
        """None: nothing can be kept, for the engine does not tell its parts."""
        try:
            return await read_parts(reader, tables)
        except StoreBroken as error:
            fields = {"action": "parts_unreadable", "detail": str(error)}
            self._log.warning("The store does not tell its parts: statistics are computed afresh.", fields)
            return None

    async def _afresh(self, asked: Question, span: Span, reader: Reader) -> list[Partial]:
        unit = Unit(ALL_TIME, ALL_TIME.within(span), keepable=False)
        if unit.asked.start >= unit.asked.end:
            return []
        computed, _ = await self._computed(asked, [unit], reader)
        return list(computed.values())

    async def _answer(self, asked: Question, span: Span, parts: Parts, reader: Reader) -> list[Partial]:
        parts, identity = parts.of(asked.tables), asked.identity
        units = units_of(span, parts, to_milliseconds(self._clock()), coarse=asked.many)
        wanted = [_Wanted(unit, Name(identity, unit.whole, parts.fingerprint(unit.whole))) for unit in units]
        found = {item.unit.whole: kept for item in wanted if (kept := self._kept(item)) is not None}
        missing = [item for item in wanted if item.unit.whole not in found]
        found |= await self._missing(asked, missing, parts, reader)
        return [found[unit.whole] for unit in units]

    def _kept(self, item: _Wanted) -> Partial | None:
        return self._cache.get(item.name) if item.unit.keepable else None

    async def _missing(self, asked: Question, missing: Sequence[_Wanted], parts: Parts, reader: Reader) -> Computed:
        """What another request has under way is waited for; for all the others there is one statement of our own."""
        by_others = [(item, flight) for item in missing if (flight := self._joined(item))]
        try:
            return await self._with_others(asked, missing, by_others, parts, reader)
        finally:
            for _, flight in by_others:
                self._flights.leave(flight)

    async def _with_others(
        self, asked: Question, missing: Sequence[_Wanted], by_others: Sequence[Joined], parts: Parts, reader: Reader
    ) -> Computed:
        waited_for = [item for item, _ in by_others]
        found = dict(await self._own(asked, [item for item in missing if item not in waited_for], parts, reader))
        for item, flight in by_others:
            found |= await self._of_another(item, flight)
        failed = [item for item in missing if item.unit.whole not in found]
        if failed:  # of the other's time there may have been too little left
            found |= await self._computed_and_kept(asked, failed, parts, reader)
        return found

    def _joined(self, item: _Wanted) -> Flight[Name, Computed] | None:
        """Joined when it is found: whoever began it may hang up while our own statement runs."""
        return self._flights.join(item.name) if item.unit.keepable else None

    async def _own(self, asked: Question, ours: Sequence[_Wanted], parts: Parts, reader: Reader) -> Computed:
        if not ours:
            return {}
        names = [item.name for item in ours if item.unit.keepable]
        return await self._flights.landed(
            self._flights.start(names, self._computed_and_kept(asked, ours, parts, reader))
        )

    async def _of_another(self, item: _Wanted, flight: Flight[Name, Computed]) -> Computed:
        try:
            return {item.unit.whole: (await self._flights.landed(flight))[item.unit.whole]}
        except LedgerError:
            return {}

    async def _computed_and_kept(
        self, asked: Question, ours: Sequence[_Wanted], parts: Parts, reader: Reader
    ) -> Computed:
        """A long time is read in several statements: what is done of it stays done, should it take too long in all."""
        if asked.few_may_match and rare.is_worth_trying([item.unit for item in ours]):
            few = await rare.counted(asked, [item.unit for item in ours], reader)
            if few is not None:
                computed = _counted_by_unit(asked, [item.unit for item in ours], few.at)
                await self._keep(asked, ours, computed, parts if parts.are_of(few.hosts) else None, reader)
                return computed
        found: dict[Period, Partial] = {}
        for some in _slices(ours):
            computed, hosts = await self._computed(asked, [item.unit for item in some], reader)
            await self._keep(asked, some, computed, parts if parts.are_of(hosts) else None, reader)
            found |= computed
            self._check_groups(found.values())
        return found

    def _check_groups(self, partials: Iterable[Partial]) -> None:
        if sum(len(partial.keys) for partial in partials) > self._most_groups:
            raise TooExpensive(f"The answer would be added up from more than {self._most_groups} groups.")

    async def _keep(
        self, asked: Question, some: Sequence[_Wanted], computed: Computed, before: Parts | None, reader: Reader
    ) -> None:
        """Where the parts are known and still the same."""
        keepable = [item for item in some if item.unit.keepable]
        after = await self._parts_after(asked, reader) if keepable and before else None
        if after is not None:
            for item in keepable:
                if after.fingerprint(item.unit.whole) == item.name.made_from:
                    self._cache.put(item.name, computed[item.unit.whole])

    async def _parts_after(self, asked: Question, reader: Reader) -> Parts | None:
        """None also where they cannot be asked for any more: what was computed is an answer all the same."""
        try:
            return await self._parts(asked.tables, reader)
        except LedgerError as error:
            fields = {"action": "aggregate_not_kept", "error": type(error).__name__}
            self._log.warning("An aggregate is not kept, for the store's parts could not be read again.", fields)
            return None

    async def _computed(
        self, asked: Question, units: Sequence[Unit], reader: Reader
    ) -> tuple[Computed, frozenset[str]]:
        """The aggregate of each unit, and which servers told it."""
        rows = await reader.rows(statement(asked, units), LIMITS)
        return await asyncio.to_thread(_by_unit, asked, units, rows)


def _slices(wanted: Sequence[_Wanted]) -> list[list[_Wanted]]:
    slices: list[list[_Wanted]] = []
    length = MOST_AT_ONCE_MS
    for item in wanted:
        length += item.unit.asked.end - item.unit.asked.start
        if length > MOST_AT_ONCE_MS:
            slices.append([])
            length = item.unit.asked.end - item.unit.asked.start
        slices[-1].append(item)
    return slices


def _by_unit(asked: Question, units: Sequence[Unit], rows: Sequence[Sequence[Any]]) -> tuple[Computed, frozenset[str]]:
    groups: dict[int, list[Sequence[Any]]] = {unit.asked.start: [] for unit in units}
    for row in rows:
        groups[row[1]].append(_by_one_key(row[2:], len(asked.keys)) if asked.each else row[2:])
    computed = {unit.whole: partial_from(groups[unit.asked.start], asked.widths) for unit in units}
    return computed, frozenset(row[0] for row in rows)


def _by_one_key(row: Sequence[Any], keys: int) -> Sequence[Any]:
    """Of the first number, a bit for each key, that of the key which the group is of is not set; the last is lowest."""
    place = keys - (~row[0] & ((1 << keys) - 1)).bit_length()
    return (place, row[1 + place], *row[1 + keys :])


def _counted_by_unit(asked: Question, units: Sequence[Unit], at: Sequence[tuple[int, int]]) -> Computed:
    counts = {unit: sum(rows for ms, rows in at if unit.asked.start <= ms < unit.asked.end) for unit in units}
    return {unit.whole: partial_from([[count]] if count else [], asked.widths) for unit, count in counts.items()}
