"""What a deletion would take if it came now: how many records, and how many dead letters. Nothing is changed."""

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ledger.dead_letter_owners import Owned, owned_by
from ledger.deletion import Scope, clause
from ledger.filtering.filter_text import parse_filter
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, RecordId, to_int
from query_api import listing
from query_api.conditions import Conditions
from query_api.finding import find
from query_api.reading import Reader

MOST_DEAD_LETTERS = 1000
MOST_BYTES = 32 * 1024 * 1024
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A deletion that can be carried out."""

    project: ProjectId
    scope: Scope
    what: str


@dataclass(frozen=True, slots=True)
class _Dead:
    """A dead letter, without its body."""

    place: tuple[int, int, int]
    record: int | None  # the id of its record as a number, where it is known
    size: int


async def records_of(asked: Asked, reader: Reader) -> int:
    """How many records are stored now that the deletion would take."""
    reach = Reach(asked.project)
    if asked.scope is Scope.ID:
        key = await find(asked.what, reach, reader)
        return len(await reader.logs([key])) if key else 0
    if asked.scope is Scope.USER:
        return await reader.count(listing.count(Conditions(user_id=asked.what), reach))
    return await reader.count(listing.count(Conditions(filter=parse_filter(asked.what)), reach))


async def dead_letters_of(asked: Asked, reader: Reader) -> int | None:
    """How many dead letters would go with it; None where looking at all of the project's would take too much."""
    found = [_dead(row) for row in await reader.rows(_all_dead(asked.project))]
    if len(found) > MOST_DEAD_LETTERS:
        return None
    taken = await _taken(asked, {dead.record for dead in found if dead.record is not None}, reader)
    others = [dead for dead in found if dead.record not in taken]
    count = len(found) - len(others)
    if asked.scope is not Scope.USER:
        return count
    if sum(dead.size for dead in others) > MOST_BYTES:
        return None
    try:
        async with asyncio.timeout(SECONDS):
            return count + sum([await _is_theirs(dead, asked.what, reader) for dead in others])
    except TimeoutError:
        return None


def _dead(row: Sequence[Any]) -> _Dead:
    generation, partition, offset, record_id, key, size = row
    try:
        number = UUID(record_id or b64decode(key).rpartition(b"/")[2].decode("latin-1")).int
    except ValueError:
        number = None
    return _Dead((generation, partition, offset), number, size)


def _all_dead(project: ProjectId) -> Statement:
    bound = Bound()
    return bound.statement(
        "SELECT generation, partition, offset, any(record_id), base64Encode(any(ifNull(key, ''))),"
        f" max(length(ifNull(body, ''))) FROM dead_letters WHERE project = {bound.value(project, 'String')}"
        f" GROUP BY generation, partition, offset LIMIT {MOST_DEAD_LETTERS + 1}"
    )


async def _taken(asked: Asked, ids: set[int], reader: Reader) -> set[int]:
    """Which of these records, as numbers, the deletion would take."""
    if asked.scope is Scope.ID:
        return {to_int(RecordId(asked.what))} & ids
    if not ids:
        return set()
    bound, reach = Bound(), Reach(asked.project)
    statement = bound.statement(
        f"SELECT DISTINCT id FROM request_logs FINAL WHERE {reach.clause(bound)} AND is_deleted = 0"
        f" AND id IN {bound.value(sorted(ids), 'Array(UInt128)')} AND {clause(asked.scope, asked.what, reach, bound)}"
    )
    return {int(id_) for (id_,) in await reader.rows(statement)}


async def _is_theirs(dead: _Dead, user_id: str, reader: Reader) -> bool:
    bound = Bound()
    names = zip(("generation", "partition", "offset"), dead.place, strict=True)
    where = " AND ".join(f"{name} = {bound.value(value, 'UInt64')}" for name, value in names)
    found = await reader.rows(
        bound.statement(f"SELECT base64Encode(ifNull(body, '')) FROM dead_letters WHERE {where} LIMIT 1")
    )
    return bool(found) and await asyncio.to_thread(owned_by, b64decode(found[0][0]), user_id) is Owned.YES
