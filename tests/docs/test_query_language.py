"""`docs/query-language.md` lists the fields of the table, neither more nor less, and its examples work."""

import re
from pathlib import Path

import pytest

from ledger.filtering.filter_text import MAX_TEXT_BYTES, BadFilter
from ledger.filtering.query_fields import ALIASES, FIELDS, PRESENCES, QueryField
from ledger.filtering.query_text import MAX_QUERY_DEPTH, MAX_TERMS, parse_query

TEXT = (Path(__file__).parents[2] / "docs" / "query-language.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| `")]
EXAMPLES = [
    line for block in re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) for line in block.split("\n")
]
REFUSALS = re.findall(r"^q: character .*$", TEXT, re.MULTILINE)


def signs(field: QueryField) -> str:
    ordered = "`>` `>=` `<` `<=` `..`" if field.form.ordered else ""
    return f"{ordered} {'`*`' if field.form.beginning else ''}".strip()


def test_the_fields_are_exactly_those_of_the_table() -> None:
    rows = [
        [f"`{field.shown}`", field.about, signs(field), ", ".join(f"`{name}`" for name in field.aliases)]
        for field in FIELDS.values()
    ]
    assert rows == ROWS


@pytest.mark.parametrize("example", [line for line in EXAMPLES if line])
def test_an_example_is_understood(example: str) -> None:
    assert parse_query(example) is not None


def test_the_names_after_has_are_exactly_those_that_are_understood() -> None:
    sentence = re.search(r"NAME is one of (.*?)\. `has:error`", TEXT, re.DOTALL)
    assert sentence
    assert sorted(re.findall(r"`([^`]+)`", sentence[1])) == sorted(PRESENCES)
    assert {name for name in [*FIELDS, *ALIASES, *PRESENCES] if understood(f"has:{name}")} - set(ALIASES) == set(
        PRESENCES
    )


def understood(text: str) -> bool:
    try:
        return parse_query(text) is not None
    except BadFilter:
        return False


def test_refusals_are_worded_like_this() -> None:
    for text, said in zip(["modle:x", "status:abc"], REFUSALS, strict=True):
        with pytest.raises(BadFilter, match=f"^{re.escape(said)}$"):
            parse_query(text)


def test_the_bounds_are_those_of_the_program() -> None:
    assert f"at most {MAX_TEXT_BYTES} bytes, {MAX_TERMS} terms" in TEXT
    assert f"{MAX_QUERY_DEPTH} levels of parentheses" in TEXT
