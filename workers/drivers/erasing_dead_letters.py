"""Which dead letters a deletion takes with it: those of the records that it took, and for a user those that name them.

A dead letter could not become a row, so nobody knows whose it is. For a user its bytes are searched for the id as text,
in any form and anywhere: erring on the side of yes. One that cannot even be inflated is kept and counted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from clickhouse_connect.driver import Client

from ledger.errors import Invalid
from ledger.inflating import inflate
from ledger.settings import MAX_BODY_BYTES
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

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Judged:
    """How many dead letters were erased, and how many are kept because their bytes cannot be read."""

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
            theirs = mentions(body, applied.user_id) if body is not None else False
            unread += theirs is None
            if theirs:
                taken.add(letter.place)
        drop_dead_letters(client, sorted(taken))
        erased += len(taken)
    return Judged(erased, unread)


def mentions(body: bytes, user_id: str) -> bool | None:
    """Whether the id stands in these bytes, packed or not; None when they are packed and cannot be read."""
    needles = spellings(user_id)
    if any(needle in body for needle in needles):
        return True
    encoding = next((name for magic, name in _MAGIC.items() if body.startswith(magic)), None)
    if encoding is None:
        return False
    try:
        plain = inflate(body, encoding, MAX_BODY_BYTES)
    except Invalid:
        return None
    return any(needle in plain for needle in needles)


def spellings(text: str) -> set[bytes]:
    """The text as JSON writers write it: as it is, or with escapes for what is not ASCII, quotes and slashes."""
    forms = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)} | {text}
    forms |= {form.replace("/", "\\/") for form in forms}
    return {form.encode("utf-8", "surrogatepass") for form in forms}


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
