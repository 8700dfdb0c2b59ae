"""The filter's JSON text → a tree of rules. What a field or a value means is not decided here.

Two forms: groups of rules as query builders write them, and a flat object of column: value. A group without rules says
nothing and is left out, wherever it stands.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ledger.filtering.tree import BadFilter as BadFilter
from ledger.filtering.tree import Group as Group
from ledger.filtering.tree import Operator as Operator
from ledger.filtering.tree import Rule as Rule
from ledger.filtering.tree import Scalar, Value, Vocabulary

MAX_DEPTH = 5
MAX_RULES = 50
MAX_GROUPS = 50
MAX_LIST = 1000
MAX_TEXT_BYTES = 4096
MAX_EXPONENT = 300  # numbers beyond it do not fit in a double
MAX_FILTER_BYTES = 60_000  # a list of the largest size must fit in one bound value of the engine (128 KiB)

_OPERATORS = frozenset(Operator)
WITHOUT_VALUE = frozenset({Operator.NULL, Operator.NOT_NULL})
WITH_LIST = frozenset({Operator.IN, Operator.NOT_IN})
WITH_PAIR = frozenset({Operator.BETWEEN, Operator.NOT_BETWEEN})


def parse_filter(text: str | None) -> Group | None:
    """The tree, or None when the text filters nothing. Raises `BadFilter`."""
    if text is None or not text.strip():
        return None
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise bad(f"is longer than {MAX_FILTER_BYTES} bytes")
    value = _decoded(text)
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise bad("must be a JSON object")
    return _Reading().group(value, depth=1) if "rules" in value else _flat(value)


def bad(why: str) -> BadFilter:
    """The complaint about a filter."""
    return BadFilter(f"filter: {why}")


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise bad(f"is not JSON: {error}") from None


class _Reading:
    """Counts what one filter holds while it is read."""

    def __init__(self) -> None:
        self._rules = 0
        self._groups = 0

    def group(self, value: Mapping[str, Any], depth: int) -> Group | None:
        self._groups += 1
        if depth > MAX_DEPTH or self._groups > MAX_GROUPS:
            raise bad(f"has groups deeper than {MAX_DEPTH} or more than {MAX_GROUPS} of them")
        combinator, rules, negated = value.get("combinator"), value["rules"], value.get("not")
        if combinator not in ("and", "or"):
            raise bad("a group's combinator must be 'and' or 'or'")
        if not isinstance(rules, list):
            raise bad("a group's rules must be a list")
        if not (negated is None or isinstance(negated, bool)):
            raise bad("a group's not must be true or false")
        members = tuple(member for rule in rules if (member := self._member(rule, depth)) is not None)
        return Group(combinator == "or", bool(negated), members) if members else None

    def _member(self, value: object, depth: int) -> Rule | Group | None:
        if not isinstance(value, dict):
            raise bad("a rule must be an object")
        if "rules" in value:
            return self.group(value, depth + 1)
        self._rules += 1
        if self._rules > MAX_RULES:
            raise bad(f"has more than {MAX_RULES} rules")
        return _rule(value)


def _rule(value: Mapping[str, Any]) -> Rule:
    field, source = value.get("field"), value.get("valueSource")
    if not isinstance(field, str) or not field:
        raise bad("a rule's field must be a non-empty text")
    _check_length(field)
    if source not in (None, "value"):
        raise bad("a rule's valueSource must be 'value'")
    asked = value.get("operator")
    if not isinstance(asked, str) or asked not in _OPERATORS:
        raise bad(f"the operator of {field[:64]} must be one of: {', '.join(Operator)}")
    operator = Operator(asked)
    return Rule(field, operator, _value(field, operator, value.get("value")))


def _value(field: str, operator: Operator, value: object) -> Value:
    if operator in WITHOUT_VALUE:
        return None
    if operator not in WITH_LIST | WITH_PAIR:
        return _scalar(field, value)
    items = tuple(_scalar(field, item) for item in _items(value))
    if len(items) > MAX_LIST:
        raise bad(f"the list of {field[:64]} has more than {MAX_LIST} values")
    if operator in WITH_PAIR and len(items) != 2:
        raise bad(f"{operator} of {field[:64]} needs two values")
    return items


def _items(value: object) -> Sequence[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return [value]


def _scalar(field: str, value: object) -> Scalar:
    if isinstance(value, str):
        _check_length(value)
        return value
    if isinstance(value, bool | int | Decimal):
        _check_range(value)
        return value
    raise bad(f"the value of {field[:64]} must be a text, a number or a boolean")


def _check_length(text: str) -> None:
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise bad(f"holds a text longer than {MAX_TEXT_BYTES} bytes")


def _check_range(number: int | Decimal) -> None:
    exponent = Decimal(number).adjusted() if number else 0
    if not -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
        raise bad("holds a number that is out of range")


def _flat(value: Mapping[str, Any]) -> Group:
    if len(value) > MAX_RULES:
        raise bad(f"has more than {MAX_RULES} columns")
    return Group(any_of=False, negated=False, members=tuple(_equality(*item) for item in value.items()))


def _equality(column: str, value: object) -> Rule:
    operator = Operator.NULL if value is None else Operator.EQUAL
    return Rule(column, operator, _value(column, operator, value), Vocabulary.COLUMNS)
