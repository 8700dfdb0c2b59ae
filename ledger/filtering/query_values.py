"""A field and one value as it is written → the rule or the words that it asks for."""

from dataclasses import dataclass
from decimal import Decimal

from ledger.filtering.forms import Span
from ledger.filtering.query_fields import MEDIA, QueryField
from ledger.filtering.scanning import complaint
from ledger.filtering.tree import Operator, Rule, Side, Value, Vocabulary, Words

RANGE = ".."
ANYTHING = "*"

_NO_STAR = 'text is found inside of words without a *; in "quotes" a * is an ordinary character'
_IN_QUOTES = 'in "quotes" it is a part of the value'


@dataclass(frozen=True, slots=True)
class Named:
    """A field as it is named in the text."""

    field: QueryField
    key: str  # '' for fields that are one
    at: int  # where the name begins, from 0

    def rule(self, operator: Operator, value: Value) -> Rule:
        """A rule about it."""
        name = f"{self.field.name}.{self.key}" if self.key else self.field.name
        return Rule(name, operator, value, Vocabulary.QUERY, self.at + 1)


@dataclass(frozen=True, slots=True)
class Written:
    """A value as it stands in the text, without its quotes."""

    text: str
    at: int  # where it begins, from 0
    quoted: bool
    starred: bool  # whether a * follows the closing quote
    sign: Operator | None  # of the comparison that stands before it


def meaning(named: Named, written: Written) -> Rule | Words:
    """What is asked. Raises `BadFilter`."""
    form = named.field.form
    if written.sign is not None and not form.ordered:
        at = written.at - len(written.sign)
        raise complaint(at, f"{written.sign} does not apply to {named.field.shown}; {_IN_QUOTES}")
    if named.field.side is not None:
        return _words(named, written, named.field.side)
    if written.starred or (not written.quoted and ANYTHING in written.text):
        return named.rule(Operator.BEGINS_WITH, _beginning(named, written))
    if written.sign is not None:
        first, last = _span(named, written.text, written.at)
        return named.rule(written.sign, first if written.sign in (Operator.LESS, Operator.AT_LEAST) else last)
    if not written.quoted and form.ordered and RANGE in written.text:
        return _range(named, written)
    span = _span(named, written.text, written.at)
    operator = form.operator(span)
    return named.rule(operator, span if operator is Operator.BETWEEN else span[0])


def presence(field: QueryField | None, key: str, at: int) -> Rule:
    """The rule of has:NAME; without a field it is about media."""
    if field is None:
        return Rule(MEDIA, Operator.NOT_NULL, None, Vocabulary.QUERY, at + 1)
    if not (field.known or key):
        raise complaint(at, f"every call has {field.name}, so has:{field.name} says nothing; write {field.name}:VALUE")
    return Named(field, key, at).rule(Operator.NOT_NULL, None)


def no_star(text: str, at: int) -> None:
    """Complain of a * in free text, which finds parts of words anyhow."""
    if ANYTHING in text:
        raise complaint(at + text.index(ANYTHING), _NO_STAR)


def _words(named: Named, written: Written, side: Side) -> Words:
    if written.starred:
        raise complaint(written.at, _NO_STAR)
    if not written.quoted:
        no_star(written.text, written.at)
    return Words(str(_span(named, written.text, written.at)[0]), side)


def _span(named: Named, text: str, at: int) -> Span:
    span = named.field.form.span(text)
    if span is None:
        raise complaint(at, f"{named.field.shown} must be {named.field.form.expected}")
    return span


def _beginning(named: Named, written: Written) -> str:
    text = written.text if written.starred else _before_star(written)
    beginning = named.field.form.beginning
    if beginning is None:
        raise complaint(written.at, f"* does not apply to {named.field.shown}; {_IN_QUOTES}")
    begun = beginning(text)
    if begun is None:
        raise complaint(written.at, f"{named.field.shown} must be {named.field.form.expected}")
    return begun


def _before_star(written: Written) -> str:
    star = written.text.index(ANYTHING)
    if star != len(written.text) - 1:
        why = '* stands at the end of a value only; in "quotes" it is an ordinary character'
        raise complaint(written.at + star, why)
    return written.text[:star]


def _range(named: Named, written: Written) -> Rule:
    before, _, after = written.text.partition(RANGE)
    after_at = written.at + len(before) + len(RANGE)
    first = _span(named, before, written.at)[0] if before else None
    last = _span(named, after, after_at)[1] if after else None
    if first is None and last is None:
        raise complaint(written.at, "a range needs one end at least, like 1..5, 1.. or ..5")
    if last is None:
        return named.rule(Operator.AT_LEAST, first)
    if first is None:
        return named.rule(Operator.AT_MOST, last)
    if Decimal(first) > Decimal(last):
        raise complaint(written.at, "the range ends before it begins")
    return named.rule(Operator.BETWEEN, (first, last))
