"""The closed set of what a filter may ask → one SQL condition with bound values.

A name is a column of the list's answer (bodies excepted), or else a request header; `x-metadata-NAME` reads the
metadata NAME of logs of every source. A rule about a value that is absent does not hold, whatever its operator;
`null` asks for that. `not` turns the outcome of its group. No character of a request becomes SQL.
"""

from collections.abc import Mapping

from ledger.filtering import query_conditions
from ledger.filtering.comparing import (
    boolean_atom,
    float_atom,
    header_atom,
    id_atom,
    integer_atom,
    negated,
    text_atom,
    time_atom,
)
from ledger.filtering.filter_text import bad
from ledger.filtering.reach import Reach
from ledger.filtering.rows import ID_AS_SHOWN as ID_AS_SHOWN
from ledger.filtering.rows import METHOD_AS_SHOWN as METHOD_AS_SHOWN
from ledger.filtering.rows import PICO, Column, Wrap, of_header, of_metadata
from ledger.filtering.rows import in_bodies as in_bodies
from ledger.filtering.statements import Bound
from ledger.filtering.texts import SIDES, found_in
from ledger.filtering.tree import Group, Member, Operator, Rule, Vocabulary, Words

METADATA_PREFIX = "x-metadata-"


def _integer(name: str, column: str, scale: int = 0) -> Column:
    return Column(column, integer_atom(name, scale), f"isNotNull({column})")


def _text(column: str, *, unknown_if_empty: bool) -> Column:
    return Column(column, text_atom, f"{column} != ''" if unknown_if_empty else "1")


COLUMNS: Mapping[str, Column] = {
    "id": Column("id", id_atom(ID_AS_SHOWN)),
    "createdAt": Column("created_at", time_atom("createdAt")),
    "updatedAt": Column("updated_at", time_atom("updatedAt")),
    "ip": _text("http_ip", unknown_if_empty=False),
    "url": _text("http_url", unknown_if_empty=False),
    "method": _text(METHOD_AS_SHOWN, unknown_if_empty=False),
    "status": _integer("status", "status_code"),
    "cached": Column("cached", boolean_atom("cached")),
    "streamed": Column("streamed", boolean_atom("streamed")),
    "user_id": _text("user_id", unknown_if_empty=True),
    "model": _text("model_requested", unknown_if_empty=True),
    "openai_id": _text("provider_response_id", unknown_if_empty=False),
    "prompt_tokens": _integer("prompt_tokens", "input_tokens"),
    "completion_tokens": _integer("completion_tokens", "output_tokens"),
    "tokens": _integer("tokens", "total_tokens"),
    "cost": _integer("cost", "cost", PICO),  # in USD
    "duration": Column("duration_ms", float_atom("duration"), "isNotNull(duration_ms)"),  # in milliseconds
    "completion": Column("completion", text_atom, "isNotNull(completion)", in_bodies=True),
}

ALL_PROJECTS_COLUMNS: Mapping[str, Column] = {**COLUMNS, "project": _text("project", unknown_if_empty=False)}
"""What a key of all projects may name besides."""

BODY_FIELDS = frozenset({"request_body", "response_body", "streamed_response_body"})


def condition(group: Group, reach: Reach, bound: Bound) -> str:
    """The group as a condition on `request_logs`, 0 or 1 for every row. Raises `BadFilter`."""
    parts = [_member(member, reach, bound) for member in group.members]
    joined = "(" + (" OR " if group.any_of else " AND ").join(parts) + ")"
    return f"NOT {joined}" if group.negated else joined


def _member(member: Member, reach: Reach, bound: Bound) -> str:
    match member:
        case Group():
            return condition(member, reach, bound)
        case Words():
            return in_bodies(found_in(member.text, SIDES[member.side], bound), reach, bound)
        case Rule(vocabulary=Vocabulary.QUERY):
            return query_conditions.of_rule(member, reach, bound)
        case Rule():
            return _rule(member, reach, bound)


def _rule(rule: Rule, reach: Reach, bound: Bound) -> str:
    column, wrap = _meaning(rule, reach, bound)
    if rule.operator is Operator.NOT_NULL:
        return wrap(column.present)
    if rule.operator is Operator.NULL:
        return f"NOT ({wrap(column.present)})"
    return wrap(f"({column.present} AND {negated(column.atom)(rule.operator, column.expression, rule.value, bound)})")


def _meaning(rule: Rule, reach: Reach, bound: Bound) -> tuple[Column, Wrap]:
    columns = ALL_PROJECTS_COLUMNS if reach.project is None else COLUMNS
    column = columns.get(rule.field)
    if column is not None:
        return column, (lambda where: in_bodies(where, reach, bound)) if column.in_bodies else (lambda where: where)
    if rule.field in BODY_FIELDS:
        raise bad(f"{rule.field} cannot be filtered; search looks into prompts and completions")
    if rule.vocabulary is Vocabulary.COLUMNS:
        raise bad(f"there is no column {rule.field[:64]}")
    if rule.field.lower().startswith(METADATA_PREFIX):
        return Column("v", header_atom), of_metadata(rule.field[len(METADATA_PREFIX) :], bound)
    return Column("h.2", header_atom), of_header(rule.field.lower(), reach, bound)
