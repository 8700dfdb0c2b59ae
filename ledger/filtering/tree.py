"""What is asked of rows, as a tree of values: the same for the JSON filter and for the search language.

A tree says nothing of SQL. Which names a rule may use is its vocabulary's affair.
"""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from ledger.errors import Invalid

Scalar: TypeAlias = str | int | Decimal | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None


class BadFilter(Invalid):
    """The filter cannot be understood."""


class Operator(StrEnum):
    """What a rule may ask."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    CONTAINS = "contains"
    BEGINS_WITH = "beginsWith"
    ENDS_WITH = "endsWith"
    DOES_NOT_CONTAIN = "doesNotContain"
    DOES_NOT_BEGIN_WITH = "doesNotBeginWith"
    DOES_NOT_END_WITH = "doesNotEndWith"
    NULL = "null"
    NOT_NULL = "notNull"
    IN = "in"
    NOT_IN = "notIn"
    BETWEEN = "between"
    NOT_BETWEEN = "notBetween"


class Vocabulary(StrEnum):
    """What the field of a rule names."""

    DOCUMENTED = "documented"  # a column of the documented list, or else a request header
    COLUMNS = "columns"  # a column of the documented list and nothing else: the filter's flat form
    QUERY = "query"  # a field of the search language


class Side(StrEnum):
    """Where words are looked for."""

    PROMPT = "prompt"
    COMPLETION = "completion"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Rule:
    """One comparison. `value` is None for null and notNull, a tuple for lists and pairs, else a scalar."""

    field: str
    operator: Operator
    value: Value
    vocabulary: Vocabulary = Vocabulary.DOCUMENTED
    at: int = dataclasses.field(default=0, compare=False)  # its character in the text, from 1; 0: not said


@dataclass(frozen=True, slots=True)
class Words:
    """A text that is found in the prompt, in the completion, or in one of the two, in any letter case."""

    text: str
    side: Side = Side.BOTH


@dataclass(frozen=True, slots=True)
class Group:
    """All of the members hold, or any of them; the other way round when negated. There is at least one member."""

    any_of: bool
    negated: bool
    members: tuple["Member", ...]


Member: TypeAlias = Rule | Words | Group
