"""The search language for any text and any tree: what is written is read, and what is not read is said."""

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ledger.filtering import texts
from ledger.filtering.filter_text import BadFilter, Group
from ledger.filtering.filters import condition
from ledger.filtering.query_fields import FIELDS
from ledger.filtering.query_text import parse_query
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from tests.support.query_trees import TREES, as_text

OUR_WORDS = re.compile(r"[A-Za-z0-9_ ,.()=<>!'-]|\{p\d+:[A-Za-z0-9(), ']+\}")
PIECES = [
    *(f"{name}:" for name in FIELDS),
    *('"', "\\", "(", ")", "-", " ", "*", "..", ":", "OR", "AND", "NOT", "has:", ">=", "<", "metadata.", "header."),
    *("a", "1", "2026-03-14", "true", "2s", "я", "\N{GRINNING FACE}", "\x00", "\N{NO-BREAK SPACE}"),
]
ALMOST_QUERIES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(tree=TREES)
def test_a_tree_written_as_text_is_read_as_the_same_tree(tree: Group) -> None:
    text = as_text(tree)
    assume(len(text.encode()) <= 4096)
    assert parse_query(text) == tree


def read_or_refused(text: str) -> Group | str | None:
    try:
        return parse_query(text)
    except BadFilter as error:
        return str(error)


@settings(max_examples=1000, deadline=None)
@given(text=st.text() | ALMOST_QUERIES)
@example("я" * 5000)
@example('"\\')
def test_any_text_is_read_or_refused_with_a_character_of_it(text: str) -> None:
    found = read_or_refused(text)
    if isinstance(found, str):
        said = re.match(r"q: character (\d+): .", found)
        assert said, found
        assert 1 <= int(said[1]) <= len(text)
    else:
        assert (found is None) == (not text.strip())


@settings(max_examples=300, deadline=None)
@given(tree=TREES)
def test_no_character_of_a_text_becomes_sql(tree: Group) -> None:
    bound = Bound()
    sql = condition(tree, Reach(None), bound)
    bare = sql
    for ours in (texts.BY_CHARACTER, texts.BY_WORD, r"'[\\x00-\\x7F]+'", "'%'"):
        bare = bare.replace(ours, "")
    assert not OUR_WORDS.sub("", bare).strip("->")
    assert set(re.findall(r"\{(p\d+):", sql)) == set(bound.values)
