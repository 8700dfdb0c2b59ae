"""How the values of the search language are written: a text → the values that it stands for, exactly.

Most texts stand for one value; a date stands for a whole day, from its first to its last millisecond.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from ledger.filtering.comparing import number_of_id
from ledger.filtering.tree import Operator, Scalar
from ledger.instants import LATEST_STORED_MS, iso_ms

Span: TypeAlias = tuple[Scalar, Scalar]
"""The first and the last value that a text stands for."""

_DAY_MS = 24 * 3600 * 1000
_LARGEST_EXPONENT = 300  # numbers beyond it do not fit in a double, whatever their unit
_UNITS_MS = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
_A_NUMBER = re.compile(_NUMBER, re.ASCII)
_A_DURATION = re.compile(rf"({_NUMBER})(ms|s|m|h|)", re.ASCII)
_A_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_BEGINS_WITH_A_DATE_AND_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}", re.ASCII)
_BEGINNING_OF_AN_ID = re.compile(r"[0-9a-f-]{0,36}")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write values. `span` and `beginning` answer None for what they do not understand."""

    expected: str  # what a value has to be, in words
    span: Callable[[str], Span | None]
    ordered: bool = False  # whether > >= < <= and .. mean something
    beginning: Callable[[str], str | None] | None = None  # what stands before a *; None: * means nothing here

    inside: bool = False  # whether a text is looked for inside of the value

    def operator(self, span: Span) -> Operator:
        """What a value without any sign asks."""
        if self.inside and isinstance(span[0], str):
            return Operator.CONTAINS
        return Operator.EQUAL if span[0] == span[1] else Operator.BETWEEN


def _same(value: Scalar | None) -> Span | None:
    return None if value is None else (value, value)


def _number(text: str) -> Decimal | None:
    if not _A_NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if not number or abs(number.adjusted()) <= _LARGEST_EXPONENT else None


def _milliseconds(text: str) -> Decimal | None:
    parts = _A_DURATION.fullmatch(text)
    number = _number(parts[1]) if parts else None
    return None if number is None or parts is None else number * _UNITS_MS[parts[2]]


def _times(text: str) -> Span | None:
    if not _A_DATE.fullmatch(text):
        return _same(iso_ms(text) if _BEGINS_WITH_A_DATE_AND_HOUR.match(text) else None)
    try:
        first = iso_ms(date.fromisoformat(text).isoformat())
    except ValueError:
        return None
    return None if first is None else (first, min(first + _DAY_MS - 1, LATEST_STORED_MS))


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _id(text: str) -> str | None:
    return text.lower() if number_of_id(text) is not None else None


def _beginning_of_an_id(text: str) -> str | None:
    return text.lower() if _BEGINNING_OF_AN_ID.fullmatch(text.lower()) else None


def _error(text: str) -> Scalar | None:
    flag = _flag(text)
    return (text or None) if flag is None else flag


def one_of(*words: str) -> Form:
    """One of a few words."""
    return Form(f"one of: {', '.join(words)}", lambda text: _same(text if text in words else None))


TEXT = Form("a text that is not empty", lambda text: _same(text or None), beginning=lambda text: text)
ANY_TEXT = Form("a text", _same, beginning=lambda text: text)
PART_OF_TEXT = Form("a text that is not empty", lambda text: _same(text or None))
NUMBER = Form("a number", lambda text: _same(_number(text)), ordered=True)
DURATION = Form(
    "a number of seconds, or like 200ms, 2s, 1.5m, 1h", lambda text: _same(_milliseconds(text)), ordered=True
)
TIME = Form("a date, or an ISO 8601 time, like 2026-03-14 or 2026-03-14T15:09:26Z", _times, ordered=True)
FLAG = Form("true or false", lambda text: _same(_flag(text)))
ID = Form("a whole id, or the beginning of one and a *", lambda text: _same(_id(text)), beginning=_beginning_of_an_id)
ERROR = Form("true, false, or a part of the error's text", lambda text: _same(_error(text)), inside=True)
