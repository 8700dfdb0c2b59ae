"""Words among the conditions: which of them every row has to hold."""

import pytest

from ledger.filtering.query_text import parse_query
from ledger.filtering.statements import Bound
from ledger.filtering.texts import found_in, split
from ledger.filtering.tree import Side, Words

A, B = Words("a"), Words("b")


def test_nothing_is_split_into_nothing() -> None:
    assert split(None) == ((), None)


@pytest.mark.parametrize(
    ("text", "words", "rest"),
    [
        ("a", (A,), None),
        ("a b", (A, B), None),
        ("a user:x prompt:b", (A, Words("b", Side.PROMPT)), "user:x"),
        ("user:x (a (status:1 b))", (A, B), "user:x status:1"),
        ("user:x", (), "user:x"),
        ("a -b", (A,), "-b"),
        ("a OR b", (), "a OR b"),
        ("a (b OR user:x)", (A,), "(b OR user:x)"),
        ("-(a b)", (), "-(a b)"),
    ],
)
def test_words_that_must_hold_are_taken_out_and_the_rest_stays(
    text: str, words: tuple[Words, ...], rest: str | None
) -> None:
    found, left = split(parse_query(text))
    assert found == words
    assert split(left) == split(parse_query(rest))
    assert (left is None) is (rest is None)


def test_a_text_is_bound_once_and_looked_for_in_every_column() -> None:
    bound = Bound()
    sql = found_in("it's", ("prompt", "completion"), bound)
    assert bound.values == {"p1": "it's"}
    assert sql.count("{p1:String}") == 2
    assert "it's" not in sql
