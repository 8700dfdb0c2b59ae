"""Bodies cut into raw slices: the bytes that were sent, or a refusal, never a guess."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.dialects import NotAnObject, Unreadable, cut, text_of, unknown_keys, value_of

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=5)
VALUES = st.recursive(
    LEAVES | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans())
def test_the_slices_are_the_values_of_the_object(fields: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    slices = cut(json.dumps(fields, indent=indent, ensure_ascii=ascii_only).encode())
    assert {name: json.loads(bytes(raw)) for name, raw in slices.items()} == fields
    assert {name: value_of(raw) for name, raw in slices.items()} == fields


def test_a_slice_is_the_text_that_was_sent_without_the_space_around_it() -> None:
    slices = cut(b' {"a" : {"x" :1.50,"y":[ ]}\n , "b":  "\\u00e4" , "c" : null } ')
    assert {name: text_of(raw) for name, raw in slices.items()} == {
        "a": '{"x" :1.50,"y":[ ]}',
        "b": '"\\u00e4"',
        "c": None,
    }


def test_the_last_of_equal_keys_counts() -> None:
    assert text_of(cut(b'{"a":1,"a":2}')["a"]) == "2"


def test_a_slice_can_be_cut_again() -> None:
    assert text_of(cut(cut(b'{"a":{"b":[1]}}')["a"])["b"]) == "[1]"


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"{}"', b"true"])
def test_other_json_is_no_object(body: bytes) -> None:
    with pytest.raises(NotAnObject):
        cut(body)


BROKEN = [
    b"", b"{", b'{"a"}', b'{"a":1,}', b'{"a":01}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":"\x01"}', b'{"a":"\\x"}',
    b'{"a":"\\ud800"}', b"{a:1}", b"{'a':1}", b'{"a":1}{}', b'{"a":1} //', b"\xef\xbb\xbf{}", b'{"\\ud800":1}',
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        cut(body)


def test_deep_nesting_is_unreadable_and_no_crash() -> None:
    with pytest.raises(Unreadable):
        cut(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


@given(st.binary() | OBJECTS.map(lambda fields: json.dumps(fields).encode()).flatmap(
    lambda text: st.integers(0, len(text)).map(lambda at: text[:at])
))  # fmt: skip
def test_whatever_is_cut_is_json_for_everybody(body: bytes) -> None:
    try:
        slices = cut(body)
    except (Unreadable, NotAnObject):
        return
    assert set(slices) == set(json.loads(body))


def test_absent_and_null_have_neither_value_nor_text() -> None:
    assert value_of(None) is None
    assert text_of(None) is None
    assert value_of(msgspec.Raw(b"null")) is None
    assert text_of(msgspec.Raw(b"null")) is None
    assert text_of(msgspec.Raw(b'"null"')) == '"null"'


@pytest.mark.parametrize("raw", [b"1e999", b"1" * 5000, b"[" * 100_000 + b"]" * 100_000])
def test_a_value_that_no_program_can_hold_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        value_of(msgspec.Raw(raw))


def test_unknown_keys_are_those_beside_the_known_ones() -> None:
    fields = cut(b'{"known":1,"other":2}')
    assert unknown_keys(fields, frozenset({"known", "absent"})) == {"other": fields["other"]}
