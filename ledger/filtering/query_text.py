"""The text of `q=` → a tree.

    model:gpt-4* status:>=400 -user:u1 metadata.env:(prod OR stage) "free text" word

What stands side by side must all hold. AND, OR and NOT (or -) are written in capitals; NOT binds most, OR least.
NOT turns an outcome round: `-user:u1` also finds calls without a user, `-cached:true` is `cached:false`.
Nothing is left out silently: what is not understood is a complaint that names the character.
"""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from ledger.filtering.filter_text import MAX_TEXT_BYTES
from ledger.filtering.query_fields import ALIASES, FIELDS, HAS, MEDIA, METADATA, QueryField
from ledger.filtering.query_values import ANYTHING, Named, Written, meaning, no_star, presence
from ledger.filtering.scanning import Scanner, complaint
from ledger.filtering.tree import Group, Member, Words

MAX_QUERY_DEPTH = 10
MAX_TERMS = 50


def parse_query(text: str | None) -> Group | None:
    """The tree, or None when the text asks for nothing. Raises `BadFilter`."""
    if text is None or not text.strip():
        return None
    _check_length(text)
    found = _Reading(text).whole()
    return found if isinstance(found, Group) else Group(False, False, (found,))


def _check_length(text: str) -> None:
    encoded = text.encode()
    if len(encoded) > MAX_TEXT_BYTES:
        within = len(encoded[:MAX_TEXT_BYTES].decode(errors="ignore"))
        raise complaint(within, f"the text is longer than {MAX_TEXT_BYTES} bytes")


def _joined(any_of: bool, members: list[Member]) -> Member:
    return members[0] if len(members) == 1 else Group(any_of, False, tuple(members))


def _negation(member: Member) -> Member:
    if not isinstance(member, Group):
        return Group(False, True, (member,))
    if member.negated and len(member.members) == 1:
        return member.members[0]
    return replace(member, negated=not member.negated)


class _Reading:
    """Reads one text from its first character to its last, and counts what it holds."""

    def __init__(self, text: str) -> None:
        self._scanner = Scanner(text)
        self._terms = 0
        self._depth = 0

    def whole(self) -> Member:
        found = self._any_of(0, "The text")
        if not self._scanner.done():
            raise complaint(self._scanner.at, 'this ) closes nothing; in "quotes" it is an ordinary character')
        return found

    def _any_of(self, at: int, before: str) -> Member:
        members = [self._all_of(at, before)]
        while self._scanner.take_keyword("OR"):
            members.append(self._all_of(self._scanner.at - len("OR"), "OR"))
        return _joined(True, members)

    def _all_of(self, at: int, before: str) -> Member:
        members = [self._negatable(at, before)]
        while not self._at_the_end_of_all():
            at = self._scanner.at
            before = "AND" if self._scanner.take_keyword("AND") else ""
            members.append(self._negatable(at, before))
        return _joined(False, members)

    def _at_the_end_of_all(self) -> bool:
        self._scanner.spaces()
        return self._scanner.done() or self._scanner.ahead(")") or self._scanner.keyword() == "OR"

    def _negatable(self, at: int, before: str) -> Member:
        negated = False
        self._scanner.spaces()
        while self._scanner.take_keyword("NOT"):
            at, before, negated = self._scanner.at - len("NOT"), "NOT", not negated
            self._scanner.spaces()
        if self._scanner.take("-"):
            at, before, negated = self._scanner.at - 1, "-", not negated
            if self._scanner.spaces() > at + 1 or self._scanner.ahead("-"):
                raise complaint(
                    at, '- must stand directly before what it negates; a text that begins with - stands in "quotes"'
                )
        member = self._term(at, before)
        return _negation(member) if negated else member

    def _term(self, at: int, before: str) -> Member:
        """One term; `before` is what stands at `at` and needs it."""
        scanner = self._scanner
        if scanner.done() or scanner.ahead(")"):
            raise complaint(at, f"{before} needs a term after it")
        keyword = scanner.keyword()
        if keyword is not None:
            raise complaint(scanner.at, f'a term was expected before {keyword}; in "quotes" it is an ordinary word')
        if scanner.ahead("("):
            return self._parenthesised()
        if scanner.ahead('"'):
            return self._words(scanner.at, scanner.quoted())
        return self._named_or_words()

    def _parenthesised(self) -> Member:
        at = self._scanner.at
        self._scanner.take("(")
        self._depth += 1
        if self._depth > MAX_QUERY_DEPTH:
            raise complaint(at, f"parentheses are nested deeper than {MAX_QUERY_DEPTH}")
        found = self._any_of(at, "(")
        self._close(at)
        self._depth -= 1
        return found

    def _close(self, opened_at: int) -> None:
        if not self._scanner.take(")"):
            raise complaint(opened_at, "this ( is not closed")
        self._scanner.apart()

    def _words(self, at: int, text: str) -> Words:
        self._count(at)
        self._scanner.apart()
        if not text:
            raise complaint(at, "a text to look for must not be empty")
        return Words(text)

    def _count(self, at: int) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise complaint(at, f"there are more than {MAX_TERMS} terms")

    def _named_or_words(self) -> Member:
        at = self._scanner.at
        name, key = self._name()
        if not self._scanner.take(":"):
            if key is not None:
                raise complaint(at, "a colon and a value were expected after the name")
            no_star(name, at)
            return self._words(at, name)
        if name == HAS:
            return self._values(lambda: self._presence(at))
        named = Named(*_known(name, key, at), at)
        return self._values(lambda: self._value(named))

    def _name(self) -> tuple[str, str | None]:
        """A name, and the key in quotes after it if there is one."""
        name = self._scanner.word(":")
        field = FIELDS.get(name.removesuffix(".")) if name.endswith(".") else None
        keyed = field is not None and field.key and self._scanner.ahead('"')
        return name, self._scanner.quoted() if keyed else None

    def _values(self, one: Callable[[], Member]) -> Member:
        """The value after the colon, or several in parentheses with OR between them."""
        opened = self._scanner.at
        if not self._scanner.take("("):
            return one()
        members = [self._one_of_several(one)]
        while self._scanner.take_keyword("OR"):
            members.append(self._one_of_several(one))
        if not (self._scanner.done() or self._scanner.ahead(")")):
            raise complaint(
                self._scanner.at, "OR or ) was expected here: a field's values in parentheses need OR between"
            )
        self._close(opened)
        return _joined(True, members)

    def _one_of_several(self, one: Callable[[], Member]) -> Member:
        self._scanner.spaces()
        keyword = self._scanner.keyword()
        if keyword is not None:
            raise complaint(self._scanner.at, f'a value was expected before {keyword}; in "quotes" it is one')
        member = one()
        self._scanner.spaces()
        return member

    def _value(self, named: Named) -> Member:
        self._count(named.at)
        sign, at, quoted = self._scanner.sign(), self._scanner.at, self._scanner.ahead('"')
        text = self._scanner.quoted() if quoted else self._scanner.word()
        if not (text or quoted):
            raise complaint(named.at, f"{named.field.shown} needs a value directly after the colon")
        starred = quoted and self._scanner.take(ANYTHING)
        self._scanner.apart()
        return meaning(named, Written(text, at, quoted, starred, sign))

    def _presence(self, term_at: int) -> Member:
        self._count(term_at)
        at = self._scanner.at
        name, key = self._name()
        if not name:
            raise complaint(term_at, f"{HAS} needs a name directly after the colon")
        self._scanner.apart()
        if key is None and name in (MEDIA, METADATA):
            return presence(FIELDS.get(name), "", at)
        return presence(*_known(name, key, at), at)


def _known(name: str, quoted_key: str | None, at: int) -> tuple[QueryField, str]:
    """The field of this name, and its key."""
    before_dot, dot, after_dot = name.partition(".")
    field = FIELDS.get(before_dot) if dot else FIELDS.get(ALIASES.get(name, name))
    if field is None or (dot and not field.key):
        raise complaint(at, _unknown(name))
    key = after_dot if quoted_key is None else quoted_key
    if field.key and not key:
        raise complaint(at, f"{field.name} needs a name after a dot, like {field.shown}")
    return field, key


def _unknown(name: str) -> str:
    known = [*FIELDS, *ALIASES, MEDIA]
    near = get_close_matches(name.lower(), known, n=3)
    shown = f"; near it: {', '.join(near)}" if near else ""
    return f'there is no field {name[:64]!r}{shown}; text with a colon stands in "quotes"'
