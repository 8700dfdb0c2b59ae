"""The search language: what a text means, and what is said of one that means nothing."""

import re
from decimal import Decimal

import pytest

from ledger.filtering.filter_text import BadFilter, Group, Operator, Rule
from ledger.filtering.filters import condition
from ledger.filtering.query_fields import ALIASES, FIELDS
from ledger.filtering.query_text import MAX_QUERY_DEPTH, MAX_TERMS, parse_query
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from ledger.filtering.tree import Member, Side, Value, Vocabulary, Words
from ledger.ids import ProjectId

A_DAY = (1773446400000, 1773532799999)  # 2026-03-14 in UTC
AN_ID = "019cef0c-6e0f-7000-8000-000000000001"


def asks(field: str, operator: Operator, value: Value = None) -> Rule:
    return Rule(field, operator, value, Vocabulary.QUERY)


def equals(field: str, value: Value) -> Rule:
    return asks(field, Operator.EQUAL, value)


def both(*members: Member) -> Group:
    return Group(False, False, members)


def either(*members: Member) -> Group:
    return Group(True, False, members)


def no(member: Member) -> Group:
    return Group(False, True, (member,))


A, B, C, D = (Words(letter) for letter in "abcd")


@pytest.mark.parametrize("text", [None, "", " ", "\t\n "])
def test_a_text_that_asks_for_nothing_is_none(text: str | None) -> None:
    assert parse_query(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", both(A)),
        ("a b", both(A, B)),
        ("a AND b", both(A, B)),
        ("a OR b", either(A, B)),
        ("a b OR c d", either(both(A, B), both(C, D))),
        ("a (b OR c)", both(A, either(B, C))),
        ("(a b) c", both(both(A, B), C)),
        ("((a))", both(A)),
        ("-a", no(A)),
        ("NOT a b", both(no(A), B)),
        ("NOT NOT a", both(A)),
        ("NOT -a", both(A)),
        ("NOT (NOT a)", both(A)),
        ("-(a OR b)", Group(True, True, (A, B))),
        ("NOT(a b)", Group(False, True, (A, B))),
        ("NOT NOT (a b)", both(A, B)),
        ("-(-(a b))", both(A, B)),
        ("a or and not", both(A, Words("or"), Words("and"), Words("not"))),
        ('"OR"', both(Words("OR"))),
        ('"a b" c', both(Words("a b"), C)),
        (r'"say \"a\" \\ b"', both(Words(r'say "a" \ b'))),
        ('"a*"', both(Words("a*"))),
        ("don't 5% {x}", both(Words("don't"), Words("5%"), Words("{x}"))),
        ("a-b", both(Words("a-b"))),
        ('prompt:a completion:"b c"', both(Words("a", Side.PROMPT), Words("b c", Side.COMPLETION))),
        ("prompt:(a OR b)", either(Words("a", Side.PROMPT), Words("b", Side.PROMPT))),
    ],
)
def test_words_and_what_joins_them(text: str, found: Group) -> None:
    assert parse_query(text) == found


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("model:gpt-4o", equals("model", "gpt-4o")),
        ('user:"a b"', equals("user", "a b")),
        ("user:a:b..c>d", equals("user", "a:b..c>d")),
        ("url:http://x/?a=b", equals("url", "http://x/?a=b")),
        ('user:">5"', equals("user", ">5")),
        ('user:"a*"', equals("user", "a*")),
        ("user:-x", equals("user", "-x")),
        ("user:OR", equals("user", "OR")),
        ("model:gpt-4*", asks("model", Operator.BEGINS_WITH, "gpt-4")),
        ("model:*", asks("model", Operator.BEGINS_WITH, "")),
        ('model:"my *"*', asks("model", Operator.BEGINS_WITH, "my *")),
        ("status:200", equals("status", 200)),
        ("status:>=400", asks("status", Operator.AT_LEAST, 400)),
        ("status:<=4e2", asks("status", Operator.AT_MOST, 400)),
        ("tokens:>-7.5", asks("tokens", Operator.GREATER, Decimal("-7.5"))),
        ("tokens:1..5", asks("tokens", Operator.BETWEEN, (1, 5))),
        ("tokens:1..", asks("tokens", Operator.AT_LEAST, 1)),
        ("tokens:..5", asks("tokens", Operator.AT_MOST, 5)),
        ('cost:"0.01"', equals("cost", Decimal("0.01"))),
        ('cost:<"0.01"', asks("cost", Operator.LESS, Decimal("0.01"))),
        ("latency:2", equals("latency", 2000)),
        ("latency:>2.5s", asks("latency", Operator.GREATER, 2500)),
        ("ttft:200ms..1.5m", asks("ttft", Operator.BETWEEN, (200, 90_000))),
        ("latency:<1h", asks("latency", Operator.LESS, 3_600_000)),
        ("created:2026-03-14", asks("created", Operator.BETWEEN, A_DAY)),
        ("created:>2026-03-14", asks("created", Operator.GREATER, A_DAY[1])),
        ("created:>=2026-03-14", asks("created", Operator.AT_LEAST, A_DAY[0])),
        ("created:<2026-03-14", asks("created", Operator.LESS, A_DAY[0])),
        ("created:<=2026-03-14", asks("created", Operator.AT_MOST, A_DAY[1])),
        ("created:..2026-03-14", asks("created", Operator.AT_MOST, A_DAY[1])),
        ("created:2026-03-14..2026-03-14", asks("created", Operator.BETWEEN, A_DAY)),
        ("updated:2026-03-14T00:00Z", equals("updated", A_DAY[0])),
        ('updated:"2026-03-14 02:00:00+02:00"', equals("updated", A_DAY[0])),
        ("created:>=1970-01-01", asks("created", Operator.AT_LEAST, 0)),
        ("cached:true", equals("cached", True)),
        ("stream:False", equals("streamed", False)),
        ("error:true", equals("error", True)),
        ("error:rate", asks("error", Operator.CONTAINS, "rate")),
        ('error:"too many"', asks("error", Operator.CONTAINS, "too many")),
        ("cost_status:unpriced", equals("cost_status", "unpriced")),
        (f"id:{AN_ID.upper()}", equals("id", AN_ID)),
        ("id:019C*", asks("id", Operator.BEGINS_WITH, "019c")),
        ("env:prod", equals("environment", "prod")),
        ("metadata.env:prod", equals("metadata.env", "prod")),
        ("metadata.a.b:c", equals("metadata.a.b", "c")),
        ('metadata."my: \\"key\\"":x', equals('metadata.my: "key"', "x")),
        ('metadata.env:""', equals("metadata.env", "")),
        ("header.X-Team:b*", asks("header.X-Team", Operator.BEGINS_WITH, "b")),
        ("has:user", asks("user", Operator.NOT_NULL)),
        ("has:env", asks("environment", Operator.NOT_NULL)),
        ("has:metadata", asks("metadata", Operator.NOT_NULL)),
        ("has:metadata.env", asks("metadata.env", Operator.NOT_NULL)),
        ('has:metadata."my key"', asks("metadata.my key", Operator.NOT_NULL)),
        ("has:header.x-team", asks("header.x-team", Operator.NOT_NULL)),
        ("has:media", asks("media", Operator.NOT_NULL)),
        ("has:prompt", asks("prompt", Operator.NOT_NULL)),
    ],
)
def test_a_field_and_its_value(text: str, rule: Rule) -> None:
    assert parse_query(text) == both(rule)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("provider:(openai)", both(equals("provider", "openai"))),
        ('provider:(openai OR "a b" )', either(equals("provider", "openai"), equals("provider", "a b"))),
        ("status:(200 OR >=500)", either(equals("status", 200), asks("status", Operator.AT_LEAST, 500))),
        ("has:(user OR media)", either(asks("user", Operator.NOT_NULL), asks("media", Operator.NOT_NULL))),
        ("-status:(1 OR 2)", Group(True, True, (equals("status", 1), equals("status", 2)))),
        ("a status:(1 OR 2)", both(A, either(equals("status", 1), equals("status", 2)))),
    ],
)
def test_several_values_of_a_field_stand_in_parentheses(text: str, found: Group) -> None:
    assert parse_query(text) == found


def test_a_rule_knows_the_character_where_it_stands() -> None:
    found = parse_query("a  status:200 has:user")
    assert found is not None
    assert [member.at for member in found.members if isinstance(member, Rule)] == [4, 19]


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("a foo:bar", 3, "there is no field 'foo'; .*quotes"),
        ("modle:x", 1, "near it: model"),
        ("Model:x", 1, "near it: model"),
        ("http://x", 1, "there is no field 'http'.*quotes"),
        ("12:30", 1, "there is no field '12'"),
        (":x", 1, "there is no field ''"),
        ("user.x:y", 1, "there is no field 'user.x'"),
        ("OR:x", 1, "there is no field 'OR'"),
        ("metadata:x", 1, "metadata needs a name after a dot"),
        ("metadata.:x", 1, "metadata needs a name after a dot"),
        ('metadata."":x', 1, "metadata needs a name after a dot"),
        ('metadata."x" y', 1, "a colon and a value were expected"),
        ("has:colour", 5, "there is no field 'colour'"),
        ("has:header", 5, "header needs a name after a dot"),
        ("has:cached", 5, "every call has cached"),
        ("has:", 1, "has needs a name"),
        ("has:>user", 5, "there is no field '>user'"),
        ("user:", 1, "user needs a value directly after the colon"),
        ("a user: x", 3, "user needs a value directly after the colon"),
        ("status:abc", 8, "status must be a number"),
        ("status:>=abc", 10, "status must be a number"),
        ("status:٣", 8, "must be a number"),
        ("status:1_000", 8, "must be a number"),
        ("status:1e999", 8, "must be a number"),
        ("tokens:1..x", 11, "must be a number"),
        ("tokens:1...5", 11, "must be a number"),
        ('tokens:"1..5"', 8, "must be a number"),
        ("tokens:>1..5", 9, "must be a number"),
        ("tokens:..", 8, "a range needs one end"),
        ("tokens:5..1", 8, "the range ends before it begins"),
        ("latency:2d", 9, "a number of seconds, or like 200ms"),
        ("created:yesterday", 9, "a date, or an ISO 8601 time"),
        ("created:2026-02-30", 9, "a date"),
        ("created:20260314", 9, "a date"),
        ("created:>1773446400000", 10, "a date"),
        ("created:2500-01-01", 9, "a date"),
        ("created:2500-01-01T00:00", 9, "a date"),
        ("cached:yes", 8, "true or false"),
        ("cached:>true", 8, "> does not apply to cached"),
        ("cost_status:free", 13, "one of: provided, computed, unpriced"),
        ("id:abc", 4, "a whole id"),
        ("id:xyz*", 4, "a whole id"),
        ('user:""', 6, "not empty"),
        ("user:>=5", 6, ">= does not apply to user; .*quotes"),
        ("user:a*b", 7, r"\* stands at the end"),
        ("user:*a*", 6, r"\* stands at the end"),
        ("status:4*", 8, r"\* does not apply to status"),
        ("error:ra*", 7, r"\* does not apply to error"),
        ("a wor*", 6, r"without a \*"),
        ("prompt:wo*", 10, r"without a \*"),
        ('prompt:"w*o"*', 8, r"without a \*"),
        ("prompt:>x", 8, "> does not apply to prompt"),
        ('prompt:""', 8, "not empty"),
        ('a ""', 3, "must not be empty"),
        ('a "b', 3, "this quote is not closed"),
        ('user:"a', 6, "this quote is not closed"),
        ('metadata."a:b', 10, "this quote is not closed"),
        ('"a\\n"', 3, r"in quotes a \\ stands before"),
        ('"a\\', 3, r"in quotes a \\ stands before"),
        ('a"b"', 2, "a space was expected here; .*quotes"),
        ('"a"b', 4, "a space was expected here"),
        ("print(x)", 6, "a space was expected here"),
        ("(a)(b)", 4, "a space was expected here"),
        ("a (b", 3, r"this \( is not closed"),
        ("status:(1", 8, r"this \( is not closed"),
        ("a b)", 4, r"this \) closes nothing"),
        ("a )", 3, r"this \) closes nothing"),
        ("()", 1, r"\( needs a term after it"),
        ("a OR", 3, "OR needs a term after it"),
        ("a AND ", 3, "AND needs a term after it"),
        ("NOT", 1, "NOT needs a term after it"),
        ("(a OR )", 4, "OR needs a term after it"),
        (")", 1, "needs a term"),
        ("OR a", 1, "a term was expected before OR"),
        ("a AND OR b", 7, "a term was expected before OR"),
        ("-OR", 2, "a term was expected before OR"),
        ("-", 1, "- needs a term after it"),
        ("a - b", 3, "- must stand directly before"),
        ("--b", 1, "- must stand directly before"),
        ("provider:(a b)", 13, r"OR or \) was expected"),
        ("provider:(a AND b)", 13, r"OR or \) was expected"),
        ("provider:(OR a)", 11, "a value was expected before OR"),
        ("provider:(a OR NOT b)", 16, "a value was expected before NOT"),
        ("provider:()", 1, "provider needs a value"),
        ("я 😀 foo:x", 5, "there is no field"),
    ],
)
def test_what_is_not_understood_is_said_with_its_character(text: str, at: int, why: str) -> None:
    with pytest.raises(BadFilter, match=rf"^q: character {at}: .*{why}"):
        parse_query(text)


def test_the_bounds_are_generous_and_firm() -> None:
    nested = "(" * MAX_QUERY_DEPTH + "a" + ")" * MAX_QUERY_DEPTH
    assert parse_query(nested) == both(A)
    with pytest.raises(BadFilter, match=rf"^q: character {MAX_QUERY_DEPTH + 1}: .*deeper"):
        parse_query(f"({nested})")
    terms = parse_query("a " * MAX_TERMS)
    assert terms is not None
    assert len(terms.members) == MAX_TERMS
    with pytest.raises(BadFilter, match=rf"^q: character {2 * MAX_TERMS + 1}: .*more than"):
        parse_query("a " * MAX_TERMS + "b")
    with pytest.raises(BadFilter, match=r"more than"):
        parse_query(f"status:({' OR '.join('1' for _ in range(MAX_TERMS + 1))})")
    assert parse_query("я" * 2048) == both(Words("я" * 2048))
    with pytest.raises(BadFilter, match=r"^q: character 2049: .*longer than 4096 bytes"):
        parse_query("я" * 2049)


def test_the_project_is_a_field_for_keys_of_all_projects_only() -> None:
    found = parse_query("a -project:shop")
    assert found is not None
    assert "project = {p2:String}" in condition(found, Reach(None), Bound())
    with pytest.raises(BadFilter, match=r"^q: character 4: project is for keys of all projects"):
        condition(found, Reach(ProjectId("shop")), Bound())


def test_every_other_name_stands_for_a_field() -> None:
    assert set(ALIASES.values()) <= set(FIELDS)
    assert not set(ALIASES) & set(FIELDS)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in [*FIELDS, *ALIASES])
