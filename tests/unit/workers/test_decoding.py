"""Decoding: a delivery is accepted or rejected; a record of a later era alone stops everything."""

import gzip
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import zstandard

from ledger.bus import Delivery, Position
from ledger.errors import UnknownVersion
from ledger.instants import LATEST_STORED_MS
from ledger.report import VERSION, Claim
from ledger.settings import MAX_BODY_BYTES
from tests.support.events import AN_ID, SHOP, a_delivery, an_accepted
from workers.decoding import Accepted, RejectCode, Rejected, decode

A_CLAIM = Claim("claims/73686f70/2026-03-14/00", 20)


def rejected(delivery: Delivery) -> Rejected:
    outcome = decode(delivery)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.delivery is delivery
    return outcome


def test_a_valid_record_is_accepted_with_its_place_and_body() -> None:
    delivery = a_delivery(b'{"a": 1.50}', offset=7)
    outcome = decode(delivery)
    assert isinstance(outcome, Accepted)
    assert (outcome.identity, outcome.position, outcome.body) == ((SHOP, AN_ID), Position(1, 0, 7), b'{"a": 1.50}')


def test_an_empty_body_is_an_empty_object() -> None:
    outcome = decode(replace(a_delivery(), body=b""))
    assert isinstance(outcome, Accepted)
    assert outcome.body == b"{}"


def test_a_record_without_a_body_is_rejected() -> None:
    outcome = decode(replace(a_delivery(), body=None))
    assert isinstance(outcome, Rejected)
    assert outcome.detail == "The record has no body."


def test_a_body_that_was_kept_elsewhere_is_the_one_that_was_fetched() -> None:
    delivery = replace(
        a_delivery(b"not this", blob=A_CLAIM, content_encoding="gzip"), claimed=gzip.compress(b'{"a":1}')
    )
    outcome = decode(delivery)
    assert isinstance(outcome, Accepted)
    assert (outcome.body, outcome.body_hash()) == (b'{"a":1}', an_accepted(b'{"a":1}').body_hash())
    assert outcome.delivery.body == b"not this"


@pytest.mark.parametrize("claimed", [b"[", b""])
def test_what_was_fetched_is_judged_like_any_body(claimed: bytes) -> None:
    assert rejected(replace(a_delivery(blob=A_CLAIM, content_encoding="gzip"), claimed=claimed)).detail == "Invalid"


@pytest.mark.parametrize("blob", [A_CLAIM, "claims/shop/1"])
def test_a_record_whose_body_is_no_longer_where_it_was_kept_is_rejected_as_it_stands(blob: Claim | str) -> None:
    delivery = a_delivery(b"", blob=blob)
    outcome = rejected(delivery)
    assert outcome.code is RejectCode.CLAIM_MISSING
    assert outcome.delivery is delivery
    assert outcome.detail == "The body was kept outside of the record and is no longer there."


def test_a_body_beside_the_record_counts_only_when_the_envelope_names_it() -> None:
    outcome = decode(replace(a_delivery(b'{"a":1}'), claimed=b'{"b":2}'))
    assert isinstance(outcome, Accepted)
    assert outcome.body == b'{"a":1}'


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)])
def test_a_packed_body_is_inflated_and_hashed_like_the_plain_one(encoding: str, pack: Any) -> None:
    plain = an_accepted(b'{"a":1}')
    packed = an_accepted(pack(b'{"a":1}'), content_encoding=encoding)
    assert packed.body == plain.body
    assert packed.body_hash() == plain.body_hash() != an_accepted(b'{"a":2}').body_hash()


@pytest.mark.parametrize("envelope", [None, b"", b"{", b"[]", b"\xff", b'{"version":1}', b"null"])
def test_a_record_without_a_readable_envelope_is_rejected(envelope: bytes | None) -> None:
    assert rejected(replace(a_delivery(), envelope=envelope)).code is RejectCode.ENVELOPE_UNREADABLE


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"project": ""}, "no project"),
        ({"record_id": "x"}, "no UUIDs"),
        ({"record_id": AN_ID.upper()}, "no UUIDs"),
        ({"record_id": AN_ID + "\n"}, "no UUIDs"),
        ({"event_id": AN_ID.replace("-", "")}, "no UUIDs"),
        ({"created_at": -1}, "cannot be stored"),
        ({"created_at": LATEST_STORED_MS + 1}, "cannot be stored"),
        ({"accepted_at": 10**17}, "cannot be stored"),
    ],
)
def test_an_envelope_that_no_store_can_hold_is_rejected(changes: dict[str, Any], detail: str) -> None:
    outcome = rejected(a_delivery(**changes))
    assert outcome.code is RejectCode.ENVELOPE_UNREADABLE
    assert detail in outcome.detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[]", "NotAnObject"),
        (b"null", "NotAnObject"),
        (b"{", "Unreadable"),
        (b'{"a":NaN}', "Unreadable"),
        (b'{"a":1e999}', "Invalid"),
        (b'{"a":99999999999999999999}', "Invalid"),
        (b'{"\xff":1}', "Invalid"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "TooDeep"),
    ],
)
def test_a_body_that_later_stages_cannot_read_is_rejected_without_its_values(body: bytes, detail: str) -> None:
    outcome = rejected(a_delivery(body))
    assert (outcome.code, outcome.detail) == (RejectCode.BODY_UNREADABLE, detail)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", ""])
def test_a_body_that_is_not_of_its_encoding_is_rejected(encoding: str) -> None:
    outcome = rejected(a_delivery(b"{}", content_encoding=encoding))
    assert (outcome.code, outcome.detail) == (RejectCode.BODY_UNREADABLE, "Invalid")


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)])
def test_a_bomb_is_rejected(encoding: str, pack: Any) -> None:
    bomb = pack(b'{"a":"' + bytes(MAX_BODY_BYTES) + b'"}')
    assert rejected(a_delivery(bomb, content_encoding=encoding)).detail == "TooLarge"


def test_a_body_of_the_largest_size_is_accepted_and_a_larger_one_is_not() -> None:
    largest = b'{"a":"' + b"x" * (MAX_BODY_BYTES - 8) + b'"}'
    assert len(largest) == MAX_BODY_BYTES
    assert isinstance(decode(a_delivery(largest)), Accepted)
    assert rejected(a_delivery(largest + b" ")).detail == "TooLarge"


def test_a_record_of_a_later_era_stops_everything() -> None:
    with pytest.raises(UnknownVersion):
        decode(a_delivery(version=VERSION + 2))
    assert isinstance(decode(a_delivery(version=VERSION + 1)), Accepted)


def test_a_field_of_a_later_version_does_no_harm() -> None:
    delivery = a_delivery()
    assert delivery.envelope is not None
    fields = msgspec.json.decode(delivery.envelope)
    later = replace(delivery, envelope=msgspec.json.encode(fields | {"version": 2, "later": [1]}))
    assert isinstance(decode(later), Accepted)
