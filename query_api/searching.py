"""Calls in whose texts certain words stand: found in the bodies' table first, in whose index the words are.

The same as with conditions on rows: bodies of any version that hold the words are candidates, and the newest version of
each decides. It also says in which texts the words stand.
"""

from collections.abc import Mapping, Sequence

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.filtering.texts import BOTH_SIDES, SIDES, found_in, hit
from ledger.filtering.tree import Group, Words
from ledger.request_log import RowKey
from query_api.candidates import strictly_before, ties
from query_api.conditions import NOT_DELETED
from query_api.reading import KEY_LIST, Reader, chunks, key_of, newest_versions


def holding(words: Sequence[Words], within: Reach, after: RowKey | None, limit: int) -> Statement:
    """The keys of the newest bodies of any version that hold all the words; a key as often as it has copies."""
    bound = Bound()
    parts = [within.clause(bound), NOT_DELETED]
    parts += [found_in(each.text, SIDES[each.side], bound) for each in words]
    if after is not None:
        parts.append(strictly_before(after, within, bound))
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_bodies WHERE {' AND '.join(parts)}"
        f" ORDER BY created_at DESC, {ties(within, 'DESC')} LIMIT {bound.value(limit, 'UInt64')}"
    )


Places = Sequence[frozenset[str]]
"""For each of the words in which texts it stands: `prompt`, `completion`, both, none."""


async def places(words: Sequence[Words], keys: Sequence[RowKey], reader: Reader) -> Mapping[RowKey, Places]:
    """For each key, in which texts of its newest body each of the words stands."""
    found: dict[RowKey, Places] = {}
    for chunk in chunks(keys):
        for values in await reader.rows(_hits(words, chunk)):
            hits = values[3:]
            sides = [_sides(hits[2 * number : 2 * number + 2], words[number]) for number in range(len(words))]
            found[key_of(values)] = sides
    return found


def all_words(group: Group | None) -> list[Words]:
    """Every text that is looked for in a tree, but not those that must not be found."""
    if group is None or group.negated:
        return []
    found: list[Words] = []
    for member in group.members:
        if isinstance(member, Words):
            found.append(member)
        elif isinstance(member, Group):
            found += all_words(member)
    return found


def _hits(words: Sequence[Words], keys: Sequence[RowKey]) -> Statement:
    bound = Bound()
    hits = [hit(column, f"lowerUTF8({bound.value(each.text, 'String')})") for each in words for column in BOTH_SIDES]
    return newest_versions(f"{KEY_LIST}, {', '.join(hits)}", "request_bodies", keys, bound)


def _sides(hits: Sequence[int], words: Words) -> frozenset[str]:
    allowed = SIDES[words.side]
    return frozenset(side for side, there in zip(BOTH_SIDES, hits, strict=True) if there and side in allowed)
