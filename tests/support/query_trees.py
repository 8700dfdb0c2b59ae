"""Random trees of the search language, and a tree as a text that asks for it."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from hypothesis import strategies as st

from ledger.filtering import forms
from ledger.filtering.forms import Form
from ledger.filtering.query_fields import FIELDS, MEDIA, METADATA, QueryField
from ledger.filtering.tree import Group, Member, Operator, Rule, Scalar, Side, Value, Vocabulary, Words
from ledger.instants import LATEST_STORED_MS, iso_ms
from ledger.request_log import CostStatus
from query_api.views import iso
from tests.support.builders import A_TIME, an_id

MEMBERS_OF_A_GROUP = 3
NOT_EMPTY = st.text(min_size=1, max_size=8)
_TIMES = st.integers(0, LATEST_STORED_MS) | st.just(iso_ms("2026-03-14"))
_VALUES: Mapping[Form, st.SearchStrategy[Scalar]] = {
    forms.TEXT: NOT_EMPTY,
    forms.ANY_TEXT: st.text(max_size=8),
    forms.NUMBER: st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    forms.DURATION: st.integers(0, 10**9) | st.decimals(0, 10**6, places=2),
    forms.TIME: _TIMES,  # type: ignore[dict-item]
    forms.FLAG: st.booleans(),
    forms.ID: st.integers(0, 2**60).map(lambda number: an_id(A_TIME, number)),
    forms.ERROR: st.booleans() | NOT_EMPTY.filter(lambda text: text.lower() not in ("true", "false")),
    FIELDS["cost_status"].form: st.sampled_from([status.value for status in CostStatus]),
}
_SIGNS = (Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST)


def _rule(name: str, operator: Operator, value: Value) -> Rule:
    return Rule(name, operator, value, Vocabulary.QUERY)


def _questions(field: QueryField, name: str) -> st.SearchStrategy[Rule]:
    """Rules about one field."""
    values = _VALUES[field.form]
    asked = [
        values.map(
            lambda value: _rule(
                name,
                Operator.CONTAINS if field.form.inside and isinstance(value, str) else Operator.EQUAL,
                value,
            )
        )
    ]
    if field.known or field.key:
        asked.append(st.just(_rule(name, Operator.NOT_NULL, None)))
    if field.form.beginning is not None:
        beginnings = st.text("0123456789abcdef-", max_size=8) if field.form is forms.ID else st.text(max_size=8)
        asked.append(beginnings.map(lambda text: _rule(name, Operator.BEGINS_WITH, text)))
    if field.form.ordered:
        asked.append(st.builds(_rule, st.just(name), st.sampled_from(_SIGNS), values))
        pairs = st.tuples(values, values).filter(lambda pair: pair[0] != pair[1])
        ordered = pairs.map(lambda pair: tuple(sorted(pair, key=lambda item: Decimal(item))))
        asked.append(ordered.map(lambda pair: _rule(name, Operator.BETWEEN, pair)))
    return st.one_of(asked)


def _of_field(field: QueryField) -> st.SearchStrategy[Rule]:
    if not field.key:
        return _questions(field, field.name)
    return NOT_EMPTY.flatmap(lambda key: _questions(field, f"{field.name}.{key}"))


_WORDS = st.builds(Words, NOT_EMPTY, st.sampled_from(Side))
_RULES = st.one_of([_of_field(field) for field in FIELDS.values() if field.side is None])
_ALONE = st.sampled_from([MEDIA, METADATA, "prompt"]).map(lambda name: _rule(name, Operator.NOT_NULL, None))
_LEAVES: st.SearchStrategy[Member] = _WORDS | _RULES | _ALONE


def _groups(members: st.SearchStrategy[Member]) -> st.SearchStrategy[Member]:
    several = st.lists(members, min_size=2, max_size=MEMBERS_OF_A_GROUP).map(tuple)
    return st.builds(Group, st.booleans(), st.booleans(), several) | _NEGATED


_NEGATED = _LEAVES.map(lambda leaf: Group(False, True, (leaf,)))


def _whole(member: Member) -> Group:
    return member if isinstance(member, Group) else Group(False, False, (member,))


TREES: st.SearchStrategy[Group] = st.recursive(_LEAVES | _NEGATED, _groups, max_leaves=10).map(_whole)
"""Trees in the form in which a text is read: no group of one member but for a negation or the whole."""


def as_text(group: Group) -> str:
    """A text that is read as this tree."""
    if not group.negated and len(group.members) > 1:
        return (" OR " if group.any_of else " ").join(_printed(member) for member in group.members)
    return _printed(group) if group.negated else _printed(group.members[0])


def _printed(member: Member) -> str:
    if isinstance(member, Words):
        return quoted(member.text) if member.side is Side.BOTH else f"{member.side}:{quoted(member.text)}"
    if isinstance(member, Rule):
        return _printed_rule(member)
    if len(member.members) == 1:
        return f"NOT {_printed(member.members[0])}"
    return f"{'-' if member.negated else ''}({as_text(Group(member.any_of, False, member.members))})"


def _printed_rule(rule: Rule) -> str:
    name, dot, key = rule.field.partition(".")
    shown = f"{name}.{quoted(key)}" if dot else name
    if rule.operator is Operator.NOT_NULL:
        return f"has:{shown}"
    written = _WRITTEN.get(FIELDS[name].form, _plainly)
    if isinstance(rule.value, tuple):
        return f"{shown}:{'..'.join(written(item) for item in rule.value)}"
    assert rule.value is not None
    if rule.operator is Operator.BEGINS_WITH:
        return f"{shown}:{quoted(str(rule.value))}*"
    value = quoted(written(rule.value))
    return f"{shown}:{rule.operator if rule.operator in _SIGNS else ''}{value}"


def _plainly(value: Scalar) -> str:
    return str(value)


_WRITTEN: Mapping[Form, Callable[[Scalar], str]] = {
    forms.TIME: lambda value: iso(int(value)),
    forms.DURATION: lambda value: f"{value}ms",
}


def quoted(text: str) -> str:
    """The text in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
