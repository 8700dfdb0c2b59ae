"""One comparison of a filter → SQL, for each kind of column: text, number, boolean, time, id.

An atom gets the SQL of a value that is present and answers a condition that is 0 or 1, never NULL. What is compared
is bound; the operators come from the table here. An operator that means nothing for a kind is refused.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias
from uuid import UUID

from ledger.engine_time import TIME, time_text
from ledger.filtering.filter_text import MAX_EXPONENT, bad
from ledger.filtering.statements import Bound
from ledger.filtering.tree import BadFilter, Operator, Scalar, Value
from ledger.instants import epoch_ms, iso_ms

Atom: TypeAlias = Callable[[Operator, str, Value, Bound], str]

OPPOSITES: Mapping[Operator, Operator] = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.DOES_NOT_CONTAIN: Operator.CONTAINS,
    Operator.DOES_NOT_BEGIN_WITH: Operator.BEGINS_WITH,
    Operator.DOES_NOT_END_WITH: Operator.ENDS_WITH,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}
"""An operator and what it is the opposite of, for a value that is present."""

COMPARISONS: Mapping[Operator, str] = {
    Operator.EQUAL: "{} = {}",
    Operator.LESS: "{} < {}",
    Operator.AT_MOST: "{} <= {}",
    Operator.GREATER: "{} > {}",
    Operator.AT_LEAST: "{} >= {}",
}

PARTS_OF_TEXT: Mapping[Operator, str] = {
    Operator.CONTAINS: "position({}, {}) > 0",
    Operator.BEGINS_WITH: "startsWith({}, {})",
    Operator.ENDS_WITH: "endsWith({}, {})",
}

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LARGEST = 10**30  # beyond every column, within Int128


def negated(atom: Atom) -> Atom:
    """The atom that also knows the opposites."""

    def with_opposites(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        opposite = OPPOSITES.get(operator)
        if opposite is None:
            return atom(operator, expression, value, bound)
        return f"NOT ({atom(opposite, expression, value, bound)})"

    return with_opposites


def text_atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
    """Case-sensitive, character by character; numbers and booleans are compared as their text."""
    if operator in PARTS_OF_TEXT:
        return PARTS_OF_TEXT[operator].format(expression, bound.value(as_text(_scalar(value)), "String"))
    return _ordered(operator, expression, value, bound, (as_text, "String"))


def header_atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
    """As text, but `=` is "contains"; `in` compares whole values."""
    return text_atom(Operator.CONTAINS if operator is Operator.EQUAL else operator, expression, value, bound)


def integer_atom(name: str, scale: int = 0) -> Atom:
    """Exact for any number: the column holds whole multiples of 10**-scale."""

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        numbers = [_number(name, item) * 10**scale for item in _scalars(value)]
        if operator in (Operator.EQUAL, Operator.IN):
            whole = [_clamped(number.numerator) for number in numbers if number.denominator == 1]
            return f"{expression} IN {bound.value(whole, 'Array(Int128)')}" if whole else "0"
        round_up = operator in (Operator.LESS, Operator.AT_LEAST)
        if operator is Operator.BETWEEN:
            bounds = [ceil(numbers[0]), floor(numbers[1])]
        elif operator in COMPARISONS:
            bounds = [ceil(numbers[0]) if round_up else floor(numbers[0])]
        else:
            raise _unfit(operator, name)
        return _between_or(operator, expression, [bound.value(_clamped(number), "Int128") for number in bounds])

    return atom


def float_atom(name: str) -> Atom:
    """Numbers as doubles."""

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        _refuse_parts(operator, name)
        return _ordered(operator, expression, value, bound, (lambda item: float(_number(name, item)), "Float64"))

    return atom


def time_atom(name: str) -> Atom:
    """ISO 8601 or milliseconds since 1970 (small numbers: seconds), to the millisecond."""

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        _refuse_parts(operator, name)
        return _ordered(operator, expression, value, bound, (lambda item: time_text(_instant(name, item)), TIME))

    return atom


def boolean_atom(name: str) -> Atom:
    """true or false, also as text."""

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        if operator not in (Operator.EQUAL, Operator.IN):
            raise _unfit(operator, name)
        return f"{expression} IN {bound.value([_boolean(name, item) for item in _scalars(value)], 'Array(UInt8)')}"

    return atom


def id_atom(as_shown: str) -> Atom:
    """Whole ids by their number, which is how they are sorted; anything else by the text `as_shown`."""

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        if operator not in (Operator.EQUAL, Operator.IN):
            return text_atom(operator, as_shown, value, bound)
        numbers = [number for item in _scalars(value) if (number := number_of_id(as_text(item))) is not None]
        return f"{expression} IN {bound.value(numbers, 'Array(UInt128)')}" if numbers else "0"

    return atom


def folded_atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
    """As text, in any letter case; whole or its beginning."""
    wanted = f"lowerUTF8({bound.value(as_text(_scalar(value)), 'String')})"
    shape = PARTS_OF_TEXT.get(operator) or COMPARISONS[operator]
    return shape.format(f"lowerUTF8({expression})", wanted)


def either_atom(atom: Atom, *expressions: str) -> Atom:
    """What holds for one of several values of the row holds."""

    def any_of_them(operator: Operator, _expression: str, value: Value, bound: Bound) -> str:
        return "(" + " OR ".join(atom(operator, expression, value, bound) for expression in expressions) + ")"

    return any_of_them


def instant_atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
    """Whole milliseconds since 1970."""
    return _ordered(operator, expression, value, bound, (lambda item: time_text(int(item)), TIME))


def flag_or_text_atom(flag: str) -> Atom:
    """true and false are compared with the flag; a text is contained in the value, in any letter case."""
    as_flag = boolean_atom(flag)

    def atom(operator: Operator, expression: str, value: Value, bound: Bound) -> str:
        if isinstance(value, bool):
            return as_flag(operator, flag, value, bound)
        return f"positionCaseInsensitiveUTF8({expression}, {bound.value(as_text(_scalar(value)), 'String')}) > 0"

    return atom


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def number_of_id(text: str) -> int | None:
    """The number of an id in its canonical form (in any letter case); None for every other text."""
    return UUID(text).int if _ID.fullmatch(text) else None


def as_text(value: Scalar) -> str:
    """A scalar as JavaScript writes it: `1.0` is "1", a boolean is "true" or "false"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        number = float(value)
        if number.is_integer() and abs(number) < 1e21:
            return str(int(number))
        return re.sub(r"e([+-])0*(\d)", r"e\1\2", repr(number))
    return str(value)


_Convert: TypeAlias = tuple[Callable[[Scalar], object], str]


def _ordered(operator: Operator, expression: str, value: Value, bound: Bound, how: _Convert) -> str:
    convert, type_ = how
    items = [convert(item) for item in _scalars(value)]
    if operator is Operator.IN:
        return f"{expression} IN {bound.value(items, f'Array({type_})')}" if items else "0"
    return _between_or(operator, expression, [bound.value(item, type_) for item in items])


def _between_or(operator: Operator, expression: str, bounds: list[str]) -> str:
    if operator is Operator.BETWEEN:
        return f"({expression} >= {bounds[0]} AND {expression} <= {bounds[1]})"
    return COMPARISONS[operator].format(expression, bounds[0])


def _scalars(value: Value) -> tuple[Scalar, ...]:
    if isinstance(value, tuple):
        return value
    return (_scalar(value),)


def _scalar(value: Value) -> Scalar:
    if value is None or isinstance(value, tuple):
        raise bad("a rule needs one value")
    return value


def _number(name: str, value: Scalar) -> Fraction:
    if not _is_number(value):
        raise bad(f"{name} must be compared with a number")
    number = Decimal(value)
    if number and not -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT:  # a number in a text was not looked at yet
        raise bad(f"{name} is compared with a number that is out of range")
    return Fraction(number)


def _is_number(value: Scalar) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return not isinstance(value, bool)


def _instant(name: str, value: Scalar) -> int:
    ms: int | None = None
    if _is_number(value):
        ms = epoch_ms(float(value)) if float(value) else 0
    elif isinstance(value, str):
        ms = iso_ms(value)
    if ms is None:
        raise bad(f"{name} must be compared with an ISO 8601 time or milliseconds since 1970")
    return ms


def _boolean(name: str, value: Scalar) -> int:
    text = as_text(value).lower()
    if text not in ("true", "false"):
        raise bad(f"{name} must be compared with true or false")
    return int(text == "true")


def _clamped(number: int) -> int:
    return max(-_LARGEST, min(_LARGEST, number))


def _refuse_parts(operator: Operator, name: str) -> None:
    if operator in PARTS_OF_TEXT:
        raise _unfit(operator, name)


def _unfit(operator: Operator, name: str) -> BadFilter:
    return bad(f"the operator {operator} does not apply to {name}")
