"""Whose a dead letter is: only where its bytes say so, in whatever form they are."""

import gzip
import json
from typing import Any

import pytest
import zstandard

from ledger.dead_letter_owners import Owned, owned_by, spellings


def texts(value: Any, depth: int, *, ascii_only: bool) -> bytes:
    """The value as JSON in a text of JSON, so many times."""
    for _ in range(depth):
        value = {"body": json.dumps(value, ensure_ascii=ascii_only)}
    return json.dumps(value, ensure_ascii=ascii_only).encode()


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("user", ["ann", 'a/"\\ü', "user", "42", "𝄞\n", "y"])
@pytest.mark.parametrize("name", ["user", "user_id", "userId", "initiator", "end-User"])
def test_a_user_is_named_by_the_whole_value_of_a_member(name: str, user: str, depth: int, *, ascii_only: bool) -> None:
    body = texts({"n": 1, name: user, "z": []}, depth, ascii_only=ascii_only)
    for packed in (body, gzip.compress(body), zstandard.compress(body)):
        assert owned_by(packed, user) is Owned.YES
    assert owned_by(texts({name: user + "x"}, depth, ascii_only=ascii_only), user) is Owned.UNSURE


@pytest.mark.parametrize(
    ("body", "user"),
    [
        (b'{"user": "ann/\xc3\xbc", broken', "ann/ü"),
        (b'{"user": "ann\\/\\u00fc", broken', "ann/ü"),
        (b'{"user": "ann', "ann"),
        (b'{"body": "{\\"user\\": \\"ann\\', "ann"),
        (b'{"tags": {"user_id" : 42}}', "42"),
        (b'{"userId":42', "42"),
        (b'{"user":-1.5e3,', "-1.5e3"),
    ],
)
def test_broken_bytes_cut_ones_and_numbers_name_a_user_too(body: bytes, user: str) -> None:
    assert owned_by(body, user) is Owned.YES


@pytest.mark.parametrize(
    ("body", "user"),
    [
        (b'{"reqPayload": {}, "body": {"user": "alice"}}', "y"),
        (b'{"messages": [{"role": "user"}], "user": "bob"}', "user"),
        (b'{"model": "gpt-4o", "user": "bob"}', "gpt-4o"),
        (b'{"status": 42, "user": 420}', "42"),
        (b'{"user": 1.42, "user_id": 42.5, "userId": -42}', "42"),
        (b'{"user": "bob", "user42": "x"}', "42"),
        (b'{"user": "ann\\" more"}', "ann"),
        (b'{"text": "user ann"}', "ann"),
        (b"\xff\xfe ann \x00", "ann"),
        (b"\x28\xb5\x2f\xfd nothing of zstd", "ann"),
        (gzip.compress(b'{"user": "ann"}')[:-9], "ann"),
    ],
)
def test_what_only_contains_the_id_or_cannot_be_read_is_nobodys(body: bytes, user: str) -> None:
    assert owned_by(body, user) is Owned.UNSURE


@pytest.mark.parametrize("body", [b"", b'{"user": "bob"}', gzip.compress(b'{"user": "bob"}')])
def test_what_does_not_contain_the_id_is_anothers(body: bytes) -> None:
    assert owned_by(body, "ann") is Owned.NO


@pytest.mark.parametrize("piece", [b"user", b'"', b'"user', b'"user":"a', b'\\"user\\"', b'"user" ', b"\\"])
@pytest.mark.parametrize("user", ["user", "\\" * 50, "a" * 4000])
def test_bytes_that_were_made_to_be_hard_are_read_all_the_same(piece: bytes, user: str) -> None:
    assert owned_by(piece * 20_000, user) in {Owned.NO, Owned.UNSURE}


def test_an_id_is_spelled_with_and_without_escapes() -> None:
    plain, nested, _ = spellings('a/"ü')
    assert plain >= {'a/\\"ü'.encode(), b'a/\\"\\u00fc', 'a\\/\\"ü'.encode()}
    assert nested >= {b'a/\\\\\\"\\\\u00fc', b'a/\\\\\\"\\u00fc'}
