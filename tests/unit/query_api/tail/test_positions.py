"""The id of an event of the tail: what is said is read back, and nothing else is taken for it."""

from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.errors import BadParameter
from query_api.tail.positions import MAX_CHARACTERS, Seen, decode, encode, texts

places = st.dictionaries(
    st.tuples(st.integers(0, 255), st.integers(0, 65_535)), st.integers(0, 2**40 - 1), max_size=200
)


@given(places, st.integers(0, 4_000_000_000_000), st.integers(0, 4_000_000_000_000))
def test_what_was_seen_is_read_back_as_it_was_said(found: dict[tuple[int, int], int], at: int, since: int) -> None:
    seen = Seen(found, at, since)
    assert decode(encode(seen)) == seen


def test_64_partitions_fit_in_a_short_header() -> None:
    assert len(encode(Seen({(1, partition): 10**12 for partition in range(64)}, 1_775_000_000_000))) < 1200


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: urlsafe_b64encode(data).decode().rstrip("=")))
def test_any_other_text_is_refused_or_says_the_same_again(text: str) -> None:
    try:
        seen = decode(text)
    except BadParameter:
        return
    assert encode(seen) == text


def said(*content: object) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(content)).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        said(2, 0, 0, []),
        said(1, -1, 0, []),
        said(1, 0, 0, [1, 0]),
        said(1, 0, 0, [256, 0, 1]),
        said(1, 0, 0, [1, 65_536, 1]),
        said(1, 0, 0, [1, 0, 2**40]),
        said(1, 0, 0, [1, 0, -1]),
        said(1, 0, 0, [1, 0, 5, 1, 0, 6]),
        said(1, 0, 0, [1, 1, 5, 1, 0, 6]),
        said(1, 0, 0, [1, 0, "5"]),
        said(1, 0, 0, [], "more"),
        said(1, 0, 0, []) + "=",
        "é",
        "",
        "A" * (MAX_CHARACTERS + 1),
    ],
)
def test_what_is_not_of_our_making_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="Last-Event-ID"):
        decode(text)


def test_places_are_told_as_positions_in_order() -> None:
    assert texts({(2, 0): 7, (1, 10): 3, (1, 9): 4}) == ["1-9-4", "1-10-3", "2-0-7"]
