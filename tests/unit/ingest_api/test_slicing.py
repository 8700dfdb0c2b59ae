"""Slices: exact bytes of the known keys, and never more than that."""

import msgspec
import pytest

from ingest_api.slicing import Slicer, check_key_count, stand_in
from ledger.dialects import NotAnObject, Unreadable
from ledger.errors import TooLarge

SLICER = Slicer(("a", "b"))


def test_slices_are_the_bytes_that_were_sent() -> None:
    slices = SLICER.cut(b' {"a" : [1, 2.50] , "c":"left", "b":null}')
    assert {name: bytes(raw) for name, raw in slices.items()} == {"a": b"[1, 2.50]", "b": b"null"}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert bytes(SLICER.cut(b'{"a":1,"a":2}')["a"]) == b"2"


@pytest.mark.parametrize("body", [b"[1]", b"null", b'"a"', b"5"])
def test_another_json_type_is_told_apart(body: bytes) -> None:
    with pytest.raises(NotAnObject):
        SLICER.cut(body)


@pytest.mark.parametrize("body", [b"", b"[1", b"nul", b"[1]x", b'{"c":01}', b'{"c":"\\ud800"}'])
def test_what_is_no_json_is_told_apart(body: bytes) -> None:
    with pytest.raises(Unreadable):
        SLICER.cut(body)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b'{"a":1}', {}), (b"[1]", []), (b'"x"', ""), (b"true", True), (b"false", False), (b"null", None), (b"-7", 0)],
)
def test_a_stand_in_has_the_type_of_its_slice(text: bytes, value: object) -> None:
    assert stand_in(msgspec.Raw(text)) == value
    assert type(stand_in(msgspec.Raw(text))) is type(value)


def test_many_colons_are_refused_only_beside_the_payloads() -> None:
    payload = b'"' + b":" * 600_000 + b'"'
    body = b'{"a":' + payload + b"}"
    check_key_count(body, [msgspec.Raw(payload)])
    with pytest.raises(TooLarge):
        check_key_count(body, [])
