"""`/api/v1/requests/stats`: what calls took and cost, by group and by bucket of time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.asking import Asked, asked_of, limit_of
from query_api.aggregates.groups import COLUMNS, Group, first_of, group_of, identity_of, names_in
from query_api.aggregates.intervals import NONE, Interval, interval_of
from query_api.aggregates.measured import Measured
from query_api.aggregates.measures import COUNT, FIRST_TOKEN, STATISTICS
from query_api.aggregates.partials import Key, Partial, added
from query_api.aggregates.percentiles import NO_NUMBERS
from query_api.aggregates.questions import Rows, question, span_of
from query_api.aggregates.schemas import Measures, OtherRow, Statistics, StatisticsRow
from query_api.errors import BadParameter, TooExpensive
from query_api.parameters import Given
from query_api.reading import Reader
from query_api.views import iso

MOST_DIMENSIONS = 2
MOST_ROWS = 20_000
OTHER = -1
"""The place of every group that is not listed."""

Places = Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class StatisticsAsked:
    """What is asked for."""

    rows: Asked
    names: tuple[str, ...]
    interval: Interval | None
    limit: int


@dataclass(frozen=True, slots=True)
class _Found:
    """The aggregates, by bucket and place of the group; which groups are listed, and how many there are."""

    calls: Partial
    first_tokens: Partial
    listed: tuple[Key, ...]
    groups: int


def statistics_asked(parameters: Given, clock: Clock) -> StatisticsAsked:
    """Raises `BadParameter`, `BadFilter` or `TooExpensive`."""
    rows = asked_of(parameters, clock)
    names = tuple(names_in(parameters.get("group_by") or ""))
    if len(names) > MOST_DIMENSIONS:
        raise BadParameter("group_by", f"takes at most {MOST_DIMENSIONS} names")
    for name in names:
        group_of("group_by", name, COLUMNS, Bound())
    return StatisticsAsked(
        rows, names, interval_of(parameters.get("interval") or NONE, rows.range), limit_of(parameters)
    )


async def statistics(asked: StatisticsAsked, reach: Reach, aggregates: Aggregates, reader: Reader) -> Statistics:
    """Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    found = await _Statistics(asked, reach, aggregates, reader).found()
    return await asyncio.to_thread(_shown, asked, found)


class _Statistics:
    """One question at work."""

    def __init__(self, asked: StatisticsAsked, reach: Reach, aggregates: Aggregates, reader: Reader) -> None:
        self._asked, self._reach, self._aggregates, self._reader = asked, reach, aggregates, reader
        self._bound = Bound()
        self._groups = [group_of("group_by", name, COLUMNS, self._bound) for name in asked.names]

    async def found(self) -> _Found:
        """Where there may be very many groups, those to be listed are found first; the others are one then."""
        if any(group.many for group in self._groups):
            return await self._of_many()
        partials = await self._ask(tuple(group.sql for group in self._groups))
        return await asyncio.to_thread(self._cut, partials)

    def _cut(self, partials: Sequence[Sequence[Partial]]) -> _Found:
        by_group = added([replace(of, histogram=NO_NUMBERS) for of in partials[0]], lambda key: key[1:])
        places, groups = self._listed(by_group), len(by_group.keys)

        def regroup(key: Key) -> Key:
            return key[0], places.get(key[1:], OTHER)

        calls, first_tokens = (added(of, regroup) for of in partials)
        return _Found(calls, first_tokens, tuple(places), groups)

    async def _of_many(self) -> _Found:
        conditions, identity = self._asked.rows.conditions, identity_of(self._groups)
        keys = (*(group.sql for group in self._groups), identity)
        counted = replace(question(Rows(conditions, self._reach), COUNT, keys, self._bound), many=True)
        (found,) = await self._aggregates.of([counted], span_of(conditions, self._reach), self._reader)
        listed, groups = await asyncio.to_thread(self._most, found)
        places = {key[-1]: place for key, place in listed.items()}
        ordered = sorted(places)  # so that the question stays the same while only their order changes
        texts = self._bound.value(ordered, "Array(String)")
        numbers = self._bound.value(list(range(len(ordered))), "Array(Int64)")
        other = f"toInt64({OTHER})"
        partials = await self._ask((f"transform({identity}, {texts}, {numbers}, {other})" if ordered else other,))
        return await asyncio.to_thread(self._found, partials, [places[text] for text in ordered], list(listed), groups)

    def _most(self, found: Sequence[Partial]) -> tuple[Places, int]:
        """The groups to be listed, and how many there are."""
        by_group = added(found)
        return self._listed(by_group), len(by_group.keys)

    def _found(
        self, partials: Sequence[Sequence[Partial]], places: Sequence[int], listed: Sequence[Key], groups: int
    ) -> _Found:
        """Of the groups as they were numbered in the question: the place of each number, and the key at each place."""

        def regroup(key: Key) -> Key:
            return key[0], OTHER if key[1] == OTHER else places[key[1]]

        calls, first_tokens = (added(of, regroup) for of in partials)
        return _Found(calls, first_tokens, tuple(key[:-1] for key in listed), groups)

    async def _ask(self, groups: tuple[str, ...]) -> list[list[Partial]]:
        """What is measured: keys are the bucket (0 without an interval), then these."""
        asked, rows = self._asked, Rows(self._asked.rows.conditions, self._reach)
        bucket = asked.interval.sql if asked.interval else "toInt64(0)"
        questions = [question(rows, measure, (bucket, *groups), self._bound) for measure in (STATISTICS, FIRST_TOKEN)]
        return await self._aggregates.of(questions, span_of(rows.conditions, rows.reach), self._reader)

    def _listed(self, by_group: Partial) -> Places:
        """The groups with the most calls, and the place of each."""
        listed = first_of(by_group.first_sums(), by_group.keys, self._asked.limit)
        return {key: place for place, (_, key) in enumerate(listed)}


def _shown(asked: StatisticsAsked, found: _Found) -> Statistics:
    measured = Measured(found.calls, found.first_tokens)
    whole = Measured(added([found.calls], lambda _: ()), added([found.first_tokens], lambda _: ()))
    keys = _rows(asked, found.calls)
    if len(keys) > MOST_ROWS:
        raise TooExpensive(f"The answer would have {len(keys)} rows, and {MOST_ROWS} are the most: take a lower limit.")
    named = [_named(asked, key) for key in found.listed]
    return Statistics(
        **asked.rows.said(),
        group_by=list(asked.names),
        interval=asked.interval.name if asked.interval else None,
        total=Measures(**whole.fields(())),
        groups=found.groups if asked.names else 1,
        data=[
            StatisticsRow(group=named[key[1]] if named else {}, bucket=_bucket(asked, key), **measured.fields(key))
            for key in keys
            if key[1] != OTHER
        ],
        other=[OtherRow(bucket=_bucket(asked, key), **measured.fields(key)) for key in keys if key[1] == OTHER],
    )


def _rows(asked: StatisticsAsked, calls: Partial) -> list[Key]:
    """Bucket and place of each row: without groups a series has every bucket, with groups those with calls."""
    if asked.names:
        return sorted(calls.keys, key=lambda key: (key[0], key[1]))
    starts: Sequence[int] = asked.interval.starts(asked.rows.range) if asked.interval else [0]
    return [(start, 0) for start in starts]


def _named(asked: StatisticsAsked, key: Key) -> dict[str, Any]:
    groups: list[Group] = [group_of("group_by", name, COLUMNS, Bound()) for name in asked.names]
    return {group.name: group.shown(value) for group, value in zip(groups, key, strict=True)}


def _bucket(asked: StatisticsAsked, key: Key) -> str | None:
    return iso(key[0]) if asked.interval else None
