"""Where items begin and end, whatever stands between them; and what is no batch at all."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.batches.framing import Framer, NoBatch, TooManyItems
from ledger.errors import Invalid, TooDeep

FRAMER = Framer(5)
ITEM = b'{"kind":"x"}'
HALF = b'{"a":"\\ud83d"}'
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def texts(body: bytes, *, as_lines: bool = False) -> list[bytes]:
    """The items as they were sent."""
    return [bytes(item) for item in FRAMER.items(body, as_lines=as_lines, count=lambda _: None)]


def copied(body: bytes) -> list[int]:
    """How many bytes were told to be copied, whether it is a batch or not."""
    sizes: list[int] = []
    with suppress(Invalid):
        list(FRAMER.items(body, as_lines=False, count=sizes.append))
    return sizes


@pytest.mark.parametrize("body", [b"", b" ", b"\n\r\n", b"[]", b" [ ] ", b"\xef\xbb\xbf", b"\xef\xbb\xbf[]"])
def test_nothing_is_an_empty_batch(body: bytes) -> None:
    assert texts(body) == []


@pytest.mark.parametrize(
    "body",
    [
        ITEM + b"\n" + ITEM,
        ITEM + b"\n" + ITEM + b"\n",
        ITEM + b"\r\n" + ITEM + b"\r\n",
        b"\n\n" + ITEM + b"\n \t\r\n\n" + ITEM + b"\n\n",
        b"\xef\xbb\xbf" + ITEM + b"\n  " + ITEM,
        b"[" + ITEM + b"," + ITEM + b"]",
        b"\xef\xbb\xbf \n[ " + ITEM + b"\n,\r\n\t" + ITEM + b" ] \n",
    ],
)
def test_what_stands_between_items_does_not_matter(body: bytes) -> None:
    assert [item.rstrip(b"\r") for item in texts(body)] == [ITEM, ITEM]


def test_a_line_that_is_no_json_is_an_item_too() -> None:
    assert texts(ITEM + b"\nrubbish\n\x00\n{\n" + ITEM) == [ITEM, b"rubbish", b"\x00", b"{", ITEM]


def test_who_says_lines_may_begin_with_anything() -> None:
    assert texts(b"rubbish\n[1]\n" + ITEM, as_lines=True) == [b"rubbish", b"[1]", ITEM]


def test_elements_need_not_be_objects() -> None:
    assert texts(b'[1, "a", null ,[2,3],{}]') == [b"1", b'"a"', b"null", b"[2,3]", b"{}"]


@pytest.mark.parametrize("body", [b"x", b"1", b'"a"', b"null", b"\x00", b"\xff\xfe[", b"(", b"\x0b{}"])
def test_what_begins_like_neither_is_no_batch(body: bytes) -> None:
    with pytest.raises(NoBatch):
        texts(body)


@pytest.mark.parametrize("body", [b"[1", b"[1,", b"[1,,2]", b"[1]]", b"[1] 2", b"[NaN]", b"[{]", b"[\xff]", b"[01]"])
def test_an_array_that_cannot_be_read_is_refused_whole(body: bytes) -> None:
    with pytest.raises(NoBatch, match="The JSON array cannot be read: "):
        texts(body)


def test_an_error_in_an_array_is_told_with_its_place() -> None:
    with pytest.raises(NoBatch, match=r"byte 3"):
        texts(b"[1,,2]")


def test_an_array_that_is_too_deep_is_refused_whole_and_a_line_is_an_item() -> None:
    deep = b"[" * 100_000
    with pytest.raises(TooDeep):
        texts(deep)
    assert texts(deep, as_lines=True) == [deep]


@pytest.mark.parametrize("body", [b"[1,1,1,1,1,1]", b"{}\n" * 6, b"[" + b"1," * 1_000_000 + b"1]", b"{\n" * 1_000_000])
def test_a_batch_of_more_items_than_may_be_is_refused_with_the_number(body: bytes) -> None:
    with pytest.raises(TooManyItems, match="more than 5 items"):
        texts(body)
    assert len(texts(b"[1,1,1,1,1]")) == len(texts(b"{}\n" * 5)) == 5


@pytest.mark.parametrize("rest", [b"rubbish", b"1", b"1" * 100, b"[" * 100_000])
def test_what_follows_the_last_item_that_may_be_in_an_array_is_not_looked_at(rest: bytes) -> None:
    with pytest.raises(TooManyItems):
        texts(b"[1,1,1,1,1," + rest)


def test_blank_lines_are_not_counted() -> None:
    assert texts(b"\n" * 1000 + ITEM + b"\r\n" * 1000) == [ITEM + b"\r"]


@pytest.mark.parametrize("body", [ITEM + b"\n" + HALF + b"\n" + ITEM, b"[" + ITEM + b" , " + HALF + b"," + ITEM + b"]"])
def test_half_a_character_is_no_hindrance_and_kept_as_it_was_sent(body: bytes) -> None:
    assert texts(body) == [ITEM, HALF, ITEM]


@pytest.mark.parametrize("before", range(256 * 1024 - 2, 256 * 1024 + 3))
def test_blanks_do_not_matter_however_many_there_are(before: int) -> None:
    blanks = b" " * before
    assert texts(blanks + b"[" + blanks + ITEM + blanks + b"," + ITEM + b"]") == [ITEM, ITEM]
    assert texts(blanks + ITEM + b"\n" + blanks + ITEM) == [ITEM, ITEM]


@pytest.mark.parametrize(
    "half", [rb"\ud83d", rb"\ud83dx", rb"\ud83d\n", rb"\udc00", rb"\ud83d\u0041", rb"\ud83dlong text"]
)
@pytest.mark.parametrize("rest", [b"", b",1", b"," + ITEM])
def test_wherever_in_an_array_half_a_character_is_the_items_are_found(half: bytes, rest: bytes) -> None:
    items = [b'"' + half + b'"', *filter(None, rest.split(b","))]
    assert texts(b'["' + half + b'"' + rest + b"]") == items


def test_only_an_array_with_half_a_character_is_copied() -> None:
    large = b'"' + b"x" * 1_000_000 + b'"'
    half = b'["\\ud83d",' + large + b"]"
    broken = b'[1,,"\\ud83d",' + large + b"]"
    assert [copied(body) for body in (half, b"[" + large + b"]", broken, large)] == [[len(half)], [], [], []]
    assert copied(b"\xef\xbb\xbf[1]") == [6]


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]))
def test_the_elements_of_an_array_are_found_at_their_places(values: list[Any], indent: int | None) -> None:
    body = json.dumps(values, indent=indent).encode()
    assert [json.loads(item) for item in texts(body)] == values


@given(st.binary() | st.binary().map(lambda some: b"[" + some) | st.binary().map(lambda some: b"{}\n" + some))
def test_any_bytes_are_a_batch_or_are_refused(body: bytes) -> None:
    try:
        items = texts(body)
    except Invalid:
        return
    assert all(item and item in body for item in items)
