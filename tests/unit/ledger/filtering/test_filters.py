"""Filters → SQL: values are bound, names are ours, what makes no sense is refused."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.filtering.filter_text import BadFilter, Operator, parse_filter
from ledger.filtering.filters import ALL_PROJECTS_COLUMNS, COLUMNS, condition
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId
from query_api.schemas import RequestItem

SHOP = Reach(ProjectId("shop"))
OUR_WORDS = re.compile(r"[A-Za-z0-9_ ,.()=<>!'-]|\{p\d+:[A-Za-z0-9(), ']+\}")


def clause(value: Any, reach: Reach = SHOP) -> tuple[str, dict[str, Any]]:
    group = parse_filter(json.dumps(value))
    assert group is not None
    bound = Bound()
    return condition(group, reach, bound), bound.values


def one(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"combinator": "and", "rules": [{"field": field, "operator": operator, "value": value}]}


def test_the_columns_are_those_of_the_answer_without_bodies_and_two_more() -> None:
    bodies = {"request_body", "response_body", "streamed_response_body"}
    assert set(COLUMNS) == set(RequestItem.__struct_fields__) - bodies | {"duration", "tokens"}


def test_a_value_is_bound_and_a_present_text_is_found_through_the_index() -> None:
    assert clause(one("user_id", "=", "ann")) == ("((user_id != '' AND user_id = {p1:String}))", {"p1": "ann"})


@pytest.mark.parametrize(
    ("operator", "value", "sql", "bound"),
    [
        ("=", 7, "IN {p1:Array(Int128)}", [7]),
        ("=", 7.5, "AND 0)", None),
        ("<", 7.5, "< {p1:Int128}", 8),
        ("<=", 7.5, "<= {p1:Int128}", 7),
        (">", 7.5, "> {p1:Int128}", 7),
        (">=", 7.5, ">= {p1:Int128}", 8),
        (">=", -7.5, ">= {p1:Int128}", -7),
        ("<", "1e2", "< {p1:Int128}", 100),
        ("=", "0e999", "IN {p1:Array(Int128)}", [0]),
        ("=", " 7.0 ", "IN {p1:Array(Int128)}", [7]),
        ("<", "7." + "0" * 4000 + "1", "< {p1:Int128}", 8),
        ("<", "1e300", "< {p1:Int128}", 10**30),
        ("<", 1e200, "< {p1:Int128}", 10**30),
        ("in", [1, 2.5, "3"], "IN {p1:Array(Int128)}", [1, 3]),
    ],
)
def test_whole_numbers_are_compared_exactly(operator: str, value: Any, sql: str, bound: Any) -> None:
    text, values = clause(one("tokens", operator, value))
    assert sql in text
    assert values.get("p1") == bound


def test_money_is_compared_in_whole_pico_usd() -> None:
    assert clause(one("cost", "<=", 0.1))[1] == {"p1": 100_000_000_000}
    assert clause(one("cost", "=", "0.0000000000005"))[1] == {}


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("status", "=", "two hundred"),
        ("status", "=", ""),
        ("status", "=", True),
        ("status", "=", "٣"),
        ("status", "=", "1_000"),
        ("status", "=", "0x10"),
        ("status", "contains", "2"),
        ("cost", "beginsWith", 1),
        ("duration", "endsWith", 1),
        ("duration", "=", "fast"),
        ("duration", "=", "1e999"),
        ("duration", "in", ["1", "-1e999"]),
        ("duration", ">", "9" * 4000),
        ("duration", "<", "1e-999"),
        ("tokens", "between", ["0", "1e301"]),
        ("createdAt", ">", "9" * 4000),
        ("createdAt", "=", "yesterday"),
        ("createdAt", ">", "2500-01-01"),
        ("createdAt", ">", -5),
        ("createdAt", "contains", "2026"),
        ("cached", "=", "yes"),
        ("cached", "<", True),
        ("request_body", "contains", "a"),
        ("streamed_response_body", "null", None),
    ],
)
def test_what_does_not_fit_a_column_is_refused(field: str, operator: str, value: Any) -> None:
    with pytest.raises(BadFilter, match=r"^filter: "):
        clause(one(field, operator, value))


@pytest.mark.parametrize(
    "value", [{"colour": 1}, {"x-metadata-env": "prod"}, {"combinator": "and"}, {"project": "shop"}]
)
def test_the_flat_form_knows_columns_only(value: Any) -> None:
    with pytest.raises(BadFilter, match="no column"):
        clause(value)


def test_the_project_is_a_column_only_over_all_projects() -> None:
    assert "project = {p1:String}" in clause({"project": "shop"}, Reach(None))[0]
    text, values = clause(one("project", "=", "bank"))
    assert "request_headers" in text
    assert values["p1"] == "project"


@given(
    field=st.sampled_from([*ALL_PROJECTS_COLUMNS, "x-metadata-a'b", "x-{p1:String}", "'; --"]) | st.text(min_size=1),
    operator=st.sampled_from(list(Operator)),
    value=st.text() | st.integers() | st.booleans() | st.lists(st.text(), min_size=2, max_size=2),
    everything=st.booleans(),
)
def test_no_character_of_a_request_becomes_sql(field: str, operator: Operator, value: Any, everything: bool) -> None:
    try:
        text, values = clause(one(field, operator, value), Reach(None) if everything else SHOP)
    except BadFilter:
        return
    assert not OUR_WORDS.sub("", text).strip("->")
    assert set(re.findall(r"\{(p\d+):", text)) == set(values)


@given(st.sampled_from(["'", "{p1:String}", "\\", ";", "--", "%"]), st.text())
def test_a_value_stands_nowhere_in_the_statement(mark: str, rest: str) -> None:
    hostile = f"zq{mark}{rest}"
    text, values = clause(one("x-metadata-env", "contains", hostile))
    assert "zq" not in text
    assert hostile in values.values()
