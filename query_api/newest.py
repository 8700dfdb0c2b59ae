"""The newest rows that match, in order: what lists, exports and the terminal read page by page.

Three ways to the same answer. Conditions on the row alone: candidates of any version, judged as they stand. Words that
must be found: candidates from the index of the texts. All else that looks into texts: deduplicated rows (`FINAL`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.clock import Clock, system_clock, to_milliseconds
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.filtering.texts import split
from ledger.filtering.tree import Words
from ledger.request_log import RequestLog, RowKey
from query_api import candidates, listing, searching
from query_api.candidates import each_once
from query_api.conditions import Conditions, looks_into_bodies, matching
from query_api.reading import Reader
from query_api.searching import Places
from query_api.spans import DAY_MS, Span, next_length, span
from query_api.together import all_of

MARGIN = 8
"""So many candidates more than rows are wanted: copies and rows that no longer match."""

MOST_CANDIDATES = 10_000
ROUNDS_OF_CANDIDATES = 3
"""After so many rounds in which most candidates were superseded, deduplicating all rows is the better way."""

ROUNDS_FROM_TEXTS = 3
"""After so many rounds in which the texts' index did not fill the page, the other conditions are likely rare."""

Find = Callable[[Reach, RowKey | None, int], Statement]
Judge = Callable[[Sequence[RowKey]], Awaitable[Sequence[RequestLog]]]


@dataclass(frozen=True, slots=True)
class Newest:
    """Rows in order; where their texts were looked through already, where the words stand."""

    rows: Sequence[RequestLog]
    places: Mapping[RowKey, Places] | None = None


async def newest(
    conditions: Conditions,
    reach: Reach,
    reader: Reader,
    *,
    after: RowKey | None,
    limit: int,
    clock: Clock = system_clock,
) -> Newest:
    """At most so many rows, newest first, that come strictly after this one in that order."""
    everywhere = span(reach, conditions.created_from, _before(conditions, after))
    bare = replace(conditions, created_from=None, created_before=None)

    def walk() -> _Walk:
        return _Walk(reader, everywhere, after, to_milliseconds(clock()))

    words, rest = split(bare.query)
    if words and not looks_into_bodies(replace(bare, query=rest), reach):
        found = await _from_texts(words, replace(bare, query=rest), everywhere, reader, walk(), limit)
        if found is not None:
            return found
    ways = [_final(bare, reader)]
    if not looks_into_bodies(bare, reach):
        ways.insert(0, _standing(bare, everywhere, reader))
    return Newest(await _judged(ways, walk(), limit))


def _before(conditions: Conditions, after: RowKey | None) -> int | None:
    bounds = [conditions.created_before, None if after is None else after.created_at + 1]
    return min((bound for bound in bounds if bound is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Way:
    """A statement that finds keys, and what becomes of them."""

    find: Find
    judge: Judge


@dataclass(slots=True)
class _Walk:
    """Keys of a span in order, read in stretches; each reading goes on where the one before it ended."""

    reader: Reader
    left: Span
    after: RowKey | None
    now: int
    length: int = DAY_MS
    ended: bool = False

    async def keys(self, find: Find, wanted: int) -> list[RowKey]:
        """The next ones, as many as are wanted unless the end comes first."""
        found: list[RowKey] = []
        while len(found) < wanted and not self.ended:
            part = self.left.cut(self.length, self.now)
            asked = wanted - len(found)
            got = await self.reader.keys(find(part, self.after, asked))
            found += got
            self._step(part, got, asked)
        return found

    def _step(self, part: Span, got: Sequence[RowKey], asked: int) -> None:
        rest = self.left.before(part)
        if len(got) >= asked:
            self.after = got[-1]
            self.left = replace(self.left, created_before=self.after.created_at + 1)
        elif rest is None:
            self.ended = True
        else:
            self.length, self.left = next_length(self.length, len(got), asked - len(got)), rest


async def _judged(ways: Sequence[_Way], walk: _Walk, limit: int) -> list[RequestLog]:
    """Candidates are taken, more each time, until enough of them stand."""
    found: list[RequestLog] = []
    size, rounds = limit + MARGIN, 0
    while True:
        way = ways[0] if rounds < ROUNDS_OF_CANDIDATES else ways[-1]
        keys = each_once(await walk.keys(way.find, min(size, MOST_CANDIDATES)))
        if keys:
            found += await way.judge(keys)
        if len(found) >= limit or walk.ended:
            return found[:limit]
        size, rounds = 4 * size, rounds + 1


def _standing(conditions: Conditions, reach: Reach, reader: Reader) -> _Way:
    def find(within: Reach, after: RowKey | None, size: int) -> Statement:
        return candidates.in_time_order(conditions, within, after, size)

    async def judge(keys: Sequence[RowKey]) -> Sequence[RequestLog]:
        found = await candidates.standing(keys, conditions, reach, reader)
        return [each.row for each in found.values()]

    return _Way(find, judge)


def _final(conditions: Conditions, reader: Reader) -> _Way:
    def find(within: Reach, after: RowKey | None, size: int) -> Statement:
        return listing.deduplicated(conditions, within, after, size)

    async def judge(keys: Sequence[RowKey]) -> Sequence[RequestLog]:
        return list((await reader.logs(keys)).values())

    return _Way(find, judge)


async def _from_texts(
    words: Sequence[Words], rest: Conditions, reach: Reach, reader: Reader, walk: _Walk, limit: int
) -> Newest | None:
    """None where the page is not full after some rounds and there is more."""
    matching(rest, reach, Bound())  # what may not be asked is refused also where no words are found

    def find(within: Reach, after: RowKey | None, size: int) -> Statement:
        return searching.holding(words, within, after, size)

    rows: list[RequestLog] = []
    places: dict[RowKey, Places] = {}
    size = limit + MARGIN
    for _ in range(ROUNDS_FROM_TEXTS):
        keys = each_once(await walk.keys(find, min(size, MOST_CANDIDATES)))
        if keys:
            standing, hits = await all_of(
                candidates.standing(keys, rest, reach, reader), searching.places(words, keys, reader)
            )
            places |= hits
            rows += [each.row for key, each in standing.items() if all(hits.get(key, [frozenset()]))]
        if len(rows) >= limit or walk.ended:
            return Newest(rows[:limit], places)
        size *= 8
    return None
