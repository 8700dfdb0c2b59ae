"""The newest rows that match, in order: what lists, exports and the terminal read page by page.

Three ways to the same answer. Conditions on the row alone: candidates of any version, judged as they stand. Words that
must be found: candidates from the index of the texts. All else that looks into texts: deduplicated rows (`FINAL`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

from ledger.clock import Clock, system_clock, to_milliseconds
from ledger.filtering.reach import Reach
from ledger.filtering.texts import split
from ledger.filtering.tree import Words
from ledger.request_log import RequestLog, RowKey
from query_api import candidates, listing, searching
from query_api.candidates import each_once
from query_api.conditions import Conditions, looks_into_bodies
from query_api.reading import Reader
from query_api.spans import DAY_MS, Span, next_length, span

MARGIN = 8
"""So many candidates more than rows are wanted: copies and rows that no longer match."""

MOST_CANDIDATES = 10_000
ROUNDS_OF_CANDIDATES = 3
ROUNDS_FROM_TEXTS = 3
"""After so many rounds in which the texts' index did not fill the page, the other conditions are likely rare."""

Read = Callable[[Span, RowKey | None, int], Awaitable["Round"]]


class Round:
    """What one reading gave: rows in order, the key after which the next one begins, and whether there is more."""

    def __init__(self, rows: Sequence[RequestLog], keys: Sequence[RowKey], asked: int) -> None:
        self.rows = rows
        self.last = keys[-1] if keys else None
        self.more = len(keys) >= asked


async def newest(
    conditions: Conditions,
    reach: Reach,
    reader: Reader,
    *,
    after: RowKey | None,
    limit: int,
    clock: Clock = system_clock,
) -> Sequence[RequestLog]:
    """At most so many rows, newest first, that come strictly after this one in that order."""
    before = conditions.created_before
    if after is not None:
        before = after.created_at + 1 if before is None else min(before, after.created_at + 1)
    everywhere = span(reach, conditions.created_from, before)
    bare = replace(conditions, created_from=None, created_before=None)
    words, rest = split(bare.query)
    if words and not looks_into_bodies(replace(bare, query=rest)):
        found = await _from_texts(words, replace(bare, query=rest), everywhere, reader, after, limit)
        if found is not None:
            return found
    ways = [_final(bare, reader)] if looks_into_bodies(bare) else [_standing(bare, reader), _final(bare, reader)]
    return await _by_spans(ways, everywhere, after, limit, to_milliseconds(clock()))


async def _by_spans(
    ways: Sequence[Read], everywhere: Span, after: RowKey | None, limit: int, now: int
) -> list[RequestLog]:
    found: list[RequestLog] = []
    length, left = DAY_MS, everywhere
    while True:
        part = left.cut(length, now)
        had = len(found)
        async for rows in _rounds(ways, part, after, limit - had):
            found += rows
        rest = left.before(part)
        if len(found) >= limit or rest is None:
            return found[:limit]
        length, left = next_length(length, len(found) - had, limit - len(found)), rest


async def _rounds(
    ways: Sequence[Read], within: Span, after: RowKey | None, limit: int
) -> AsyncIterator[Sequence[RequestLog]]:
    """Readings of one span until there are enough rows or no more, each larger than the one before.

    Where most candidates turn out to be superseded, the last of the ways goes on.
    """
    size, number = limit, 0
    while limit > 0:
        read = ways[0] if number < ROUNDS_OF_CANDIDATES else ways[-1]
        got = await read(within, after, min(size + MARGIN, MOST_CANDIDATES))
        yield got.rows
        if not got.more:
            return
        limit, after, size, number = limit - len(got.rows), got.last, 4 * size, number + 1


def _standing(conditions: Conditions, reader: Reader) -> Read:
    async def read(within: Span, after: RowKey | None, size: int) -> Round:
        keys = await reader.keys(candidates.in_time_order(conditions, within, after, size))
        rows = await candidates.standing(each_once(keys), conditions, within, reader) if keys else {}
        return Round([found.row for found in rows.values()], keys, size)

    return read


def _final(conditions: Conditions, reader: Reader) -> Read:
    async def read(within: Span, after: RowKey | None, size: int) -> Round:
        keys = await reader.keys(listing.deduplicated(conditions, within, after, size))
        return Round(list((await reader.logs(keys)).values()), keys, size)

    return read


async def _from_texts(
    words: Sequence[Words], rest: Conditions, everywhere: Span, reader: Reader, after: RowKey | None, limit: int
) -> list[RequestLog] | None:
    """None where the page is not full after some rounds and there is more."""
    found: list[RequestLog] = []
    size = limit
    for _ in range(ROUNDS_FROM_TEXTS):
        asked = min(size + MARGIN, MOST_CANDIDATES)
        keys = await reader.keys(searching.holding(words, everywhere, after, asked))
        if keys:
            once = each_once(keys)
            rows, hits = await asyncio.gather(
                candidates.standing(once, rest, everywhere, reader), searching.places(words, once, reader)
            )
            found += [each.row for key, each in rows.items() if all(hits.get(key, [frozenset()]))]
        if len(found) >= limit or len(keys) < asked:
            return found[:limit]
        after, size = keys[-1], 8 * size
    return None
