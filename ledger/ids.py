"""The identity of a record: made once, at acceptance; everything after it is deterministic.

A plain id is a UUIDv7 whose time bits are the record's `created_at`. A keyed id is a UUIDv8 derived from project and
`Idempotency-Key`, so that a retry is the same record; it carries no time. Both end in 24 bits that only the holder of
the project's id secret can compute: an unknown or foreign id is told apart without a database.

Layout (RFC 9562): 48 bits time or hash, 4 version, 12 random or hash, 2 variant, 38 random or hash, 24 check.
"""

import hmac
import os
from hashlib import blake2b
from typing import NewType
from uuid import UUID

RecordId = NewType("RecordId", str)
"""Canonical text of a UUID of version 7 or 8."""

EventId = NewType("EventId", str)
"""Canonical text of a UUID: the record's id for a report, an own one for an update."""

ProjectId = NewType("ProjectId", str)

_CHECK_BITS = 24
_VARIANT = 0b10


def plain_id(created_at_ms: int, secret: bytes) -> RecordId:
    """A fresh UUIDv7 for this creation time (milliseconds since 1970)."""
    random = int.from_bytes(os.urandom(7), "big")  # 12 + 38 bits of it are used
    return _assemble(created_at_ms, 7, random >> 38, random & ((1 << 38) - 1), secret)


def keyed_id(idempotency_key: str, secret: bytes) -> RecordId:
    """The UUIDv8 of this key in the project of this secret: the same for every retry."""
    digest = blake2b(idempotency_key.encode(), key=secret, digest_size=16, person=b"llmledger-idem").digest()
    number = int.from_bytes(digest, "big")
    return _assemble(number >> 80, 8, number >> 68, number & ((1 << 38) - 1), secret)


def created_at_ms_of(record_id: RecordId) -> int | None:
    """The creation time that a plain id carries, in milliseconds since 1970; None for a keyed id."""
    number = to_int(record_id)
    return number >> 80 if (number >> 76) & 0xF == 7 else None


def is_keyed(record_id: RecordId) -> bool:
    """Whether the id was derived from an idempotency key and so carries no time."""
    return created_at_ms_of(record_id) is None


def belongs(text: str, secret: bytes) -> RecordId | None:
    """The id in canonical form when it is one that this project's secret has made, else None. Never raises."""
    try:
        number = UUID(text).int
    except ValueError:
        return None
    expected = _check(number >> _CHECK_BITS, secret)
    if not hmac.compare_digest(expected, (number & ((1 << _CHECK_BITS) - 1)).to_bytes(3, "big")):
        return None
    return from_int(number)


def to_int(record_id: RecordId | EventId) -> int:
    """The id as the 128-bit number that the store sorts by."""
    return int(record_id.replace("-", ""), 16)


def from_int(number: int) -> RecordId:
    """The inverse of `to_int`."""
    text = f"{number:032x}"
    return RecordId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def _assemble(time: int, version: int, middle: int, low: int, secret: bytes) -> RecordId:
    head = (time & ((1 << 48) - 1)) << 16 | version << 12 | middle & 0xFFF
    number = head << 40 | _VARIANT << 38 | low
    return from_int(number << _CHECK_BITS | int.from_bytes(_check(number, secret), "big"))


def _check(number: int, secret: bytes) -> bytes:
    return blake2b(number.to_bytes(13, "big"), key=secret, digest_size=3, person=b"llmledger-check").digest()
