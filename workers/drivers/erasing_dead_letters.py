"""Which dead letters a deletion takes with it: those of the records that it took, and for a user those that name them.

A dead letter could not become a row, so for a user its bytes are asked whose it is. One that cannot be inflated, or
contains the id where it does not say whose it is, may be anybody's: it is kept and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from clickhouse_connect.driver import Client

from ledger.dead_letter_owners import Owned, owned_by
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


def erase_dead_letters(client: Client, applied: Applied) -> Judged:
    """Take the deletion's dead letters out of the table's active parts."""
    erased = unread = 0
    for page in _pages(client, applied):
        taken = _of_deleted_records(client, applied, page)
        for letter in page:
            if letter.place in taken or applied.user_id is None or not applied.covers(letter.place):
                continue
            body = dead_letter_bytes(client, letter.place)
            owned = owned_by(body, applied.user_id) if body is not None else Owned.NO
            unread += owned is Owned.UNSURE
            if owned is Owned.YES:
                taken.add(letter.place)
        drop_dead_letters(client, sorted(taken))
        erased += len(taken)
    return Judged(erased, unread)


def _pages(client: Client, applied: Applied) -> Iterator[list[DeadLetter]]:
    after: DeadPlace = (0, 0, 0)  # generations begin at 1
    while page := dead_letters_of(client, applied.erasable.project, after, AT_A_TIME):
        after = page[-1].place
        yield page


def _of_deleted_records(client: Client, applied: Applied, page: list[DeadLetter]) -> set[DeadPlace]:
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
