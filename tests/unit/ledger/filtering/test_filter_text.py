"""The filter's JSON: what is a tree, what is nothing, what is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.filtering.filter_text import BadFilter, Group, Operator, Rule, parse_filter
from ledger.filtering.tree import Vocabulary

COLUMNS = Vocabulary.COLUMNS


def group(*rules: Any, combinator: str = "and", **more: Any) -> dict[str, Any]:
    return {"combinator": combinator, "rules": list(rules), **more}


def rule(field: Any = "status", operator: Any = "=", value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


def parsed(value: Any) -> Group | None:
    return parse_filter(json.dumps(value))


def nested(levels: int) -> dict[str, Any]:
    inner = group(rule())
    for _ in range(levels - 1):
        inner = group(inner)
    return inner


@pytest.mark.parametrize(
    "text", [None, "", " ", "{}", "null", '{"combinator":"and","rules":[]}', json.dumps(group(group(), group(group())))]
)
def test_a_filter_that_says_nothing_is_none(text: str | None) -> None:
    assert parse_filter(text) is None


def test_groups_nest_and_a_group_without_rules_is_left_out() -> None:
    found = parsed(group(rule(), group(), group(rule("user_id", "in", "a, b,"), combinator="or", **{"not": True})))
    status = Rule("status", Operator.EQUAL, 1)
    users = Rule("user_id", Operator.IN, ("a", "b"))
    assert found == Group(False, False, (status, Group(True, True, (users,))))


def test_the_flat_form_is_equality_on_columns() -> None:
    found = parsed({"status": 200, "user_id": None})
    assert found == Group(
        False,
        False,
        (Rule("status", Operator.EQUAL, 200, COLUMNS), Rule("user_id", Operator.NULL, None, COLUMNS)),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1, "a", True], (1, "a", True)), ("a,b", ("a", "b")), (5, (5,)), ([], ()), ("", ()), ([1.5], (Decimal("1.5"),))],
)
def test_a_list_is_an_array_or_text_with_commas(value: Any, expected: Any) -> None:
    found = parsed(group(rule(operator="in", value=value)))
    assert found is not None
    assert found.members == (Rule("status", Operator.IN, expected),)


@pytest.mark.parametrize("operator", ["null", "notNull"])
def test_presence_needs_no_value(operator: str) -> None:
    assert parsed(group({"field": "status", "operator": operator})) == parsed(
        group(rule(operator=operator, value=[{}]))
    )


@pytest.mark.parametrize(
    "value",
    [
        [],
        "x",
        1,
        True,
        {"rules": []},
        {"combinator": "xor", "rules": [rule()]},
        {"combinator": "and", "rules": {}},
        {"combinator": "and", "rules": None},
        group("and"),
        group(None),
        group([rule()]),
        group(rule(), **{"not": "yes"}),
        group(rule(valueSource="field")),
        group(rule(operator="like")),
        group(rule(operator=["="])),
        group(rule(operator=None)),
        group(rule(field="")),
        group(rule(field=5)),
        group({"operator": "=", "value": 1}),
        group({"field": "status", "operator": "="}),
        group(rule(value=None)),
        group(rule(value=[1])),
        group(rule(value={})),
        group(rule(operator="in", value=None)),
        group(rule(operator="in", value=[[1]])),
        group(rule(operator="between", value=[1])),
        group(rule(operator="notBetween", value="1,2,3")),
        {"status": [200]},
        {"status": {}},
        nested(6),
        group(*[rule()] * 51),
        group(group(*[rule()] * 26), group(*[rule()] * 26)),
        group(*[group()] * 60),
        group(rule(value="x" * 4097)),
        group(rule(field="ж" * 2049)),
        group(rule(operator="in", value=[1] * 1001)),
        group(rule(operator="in", value=["x" * 4000] * 20)),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_wrong_shape_is_refused(value: Any) -> None:
    with pytest.raises(BadFilter, match=r"^filter: "):
        parsed(value)


@pytest.mark.parametrize("value", [nested(5), group(*[rule()] * 50), group(rule(operator="in", value=[1] * 1000))])
def test_what_just_fits_is_taken(value: Any) -> None:
    assert parsed(value) is not None


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{",
        "[" * 5000,
        '{"a":' * 5000,
        '{"status": NaN}',
        '{"status": 1e400}',
        '{"status": 1e-400}',
        '{"status": 1e99999999999999999999}',
        '{"status": ' + "9" * 5000 + "}",
        '{"user_id": "\\ud800"}',
        '{"status": 1} x',
        "'; DROP TABLE request_logs --",
    ],
    ids=lambda text: str(text)[:40],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match=r"^filter: "):
        parse_filter(text)


@given(
    st.text(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)
)
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        found = parse_filter(text)
    except BadFilter:
        return
    assert found is None or found.members
