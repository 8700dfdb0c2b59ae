"""Which dead letters a deletion takes with it: those of the records that it took, and for a user those that name them.

A dead letter could not become a row, so for a user its bytes are asked whose it is. One that cannot be inflated, or
contains the id where it does not say whose it is, may be anybody's: it is kept and counted. So is one whose body was
too large for the bus. Where such a one goes, its body goes first: what names it is then still there for the next sweep,
to which it is left while the blob store is away.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from clickhouse_connect.driver import Client

from ledger.blobs import ErasableBlobs
from ledger.bus.claims import is_name_of
from ledger.dead_letter_owners import Owned, owned_by
from ledger.errors import Unavailable
from ledger.ids import ProjectId
from ledger.store.clickhouse import ClickHousePool
from ledger.store.erasure import (
    Applied,
    DeadLetter,
    DeadPlace,
    dead_letter_bytes,
    dead_letters_of,
    deleted_among,
    drop_dead_letters,
)

AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """How many dead letters were erased, and how many are kept because nobody can say whose they are."""

    erased: int
    unread: int
    away: Unavailable | None = None  # why some that are to go were left: the next sweep takes them


async def erase_dead_letters(pool: ClickHousePool, blobs: ErasableBlobs, applied: Applied) -> Judged:
    """Take the deletion's dead letters out of the table's active parts."""
    erased = unread = 0
    away: Unavailable | None = None
    async for page in _pages(pool, applied):
        taken, unsure = await pool.run(partial(_judged, applied=applied, page=page))
        for letter in page:
            if letter.place in taken and letter.claims:
                away = away or await _claims_left(blobs, letter, applied.erasable.project)
                taken -= {letter.place} if away else set()
        await pool.run(partial(drop_dead_letters, places=sorted(taken)))
        erased, unread = erased + len(taken), unread + unsure
    return Judged(erased, unread, away)


async def _claims_left(blobs: ErasableBlobs, letter: DeadLetter, project: ProjectId) -> Unavailable | None:
    """Delete what the letter names of its own project, whatever it names. Why that is left, if it is."""
    try:
        for name in letter.claims:
            if is_name_of(name, project):
                await blobs.delete_claim(name)
    except Unavailable as error:
        return error
    return None


async def _pages(pool: ClickHousePool, applied: Applied) -> AsyncIterator[list[DeadLetter]]:
    after: DeadPlace = (0, 0, 0)  # generations begin at 1
    project = applied.erasable.project
    while page := await pool.run(partial(dead_letters_of, project=project, after=after, limit=AT_A_TIME)):
        after = page[-1].place
        yield page


def _judged(client: Client, applied: Applied, page: Sequence[DeadLetter]) -> tuple[set[DeadPlace], int]:
    """Which of them go, and how many of the others may be the user's."""
    taken, unsure = _of_deleted_records(client, applied, page), 0
    for letter in page:
        if letter.place in taken or applied.user_id is None or not applied.covers(letter.place):
            continue
        owned = _owned(client, letter, applied.user_id)
        unsure += owned is Owned.UNSURE
        if owned is Owned.YES:
            taken.add(letter.place)
    return taken, unsure


def _owned(client: Client, letter: DeadLetter, user_id: str) -> Owned:
    body = dead_letter_bytes(client, letter.place)
    owned = owned_by(body, user_id) if body is not None else Owned.NO
    return Owned.UNSURE if owned is Owned.NO and letter.claims else owned


def _of_deleted_records(client: Client, applied: Applied, page: Sequence[DeadLetter]) -> set[DeadPlace]:
    ids = {letter.place: number for letter in page if (number := _record_number(letter)) is not None}
    deleted = deleted_among(client, applied.erasable, list(ids.values()))
    return {place for place, number in ids.items() if number in deleted}


def _record_number(letter: DeadLetter) -> int | None:
    """The record's id as a number; from the key `project/id` where the envelope says nothing."""
    text = letter.record_id or letter.key.rpartition(b"/")[2].decode("latin-1")
    try:
        return UUID(text).int
    except ValueError:
        return None
