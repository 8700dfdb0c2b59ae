"""Text that is looked for in prompts and completions: what is found there, said in one place.

A text is found where it stands anywhere in a prompt or a completion, in any letter case and any language. Two indexes
of the engine narrow the search; an exact look at the texts decides, so that an index never adds or loses a row.
"""

import re
from collections.abc import Mapping, Sequence

from ledger.filtering.statements import Bound
from ledger.filtering.tree import Group, Member, Side, Words

BOTH_SIDES = ("prompt", "completion")
SIDES: Mapping[Side, Sequence[str]] = {
    Side.PROMPT: ("prompt",),
    Side.COMPLETION: ("completion",),
    Side.BOTH: BOTH_SIDES,
}
"""The columns of `request_bodies` that each side means."""

BY_WORD = "lowerUTF8(concat(ifNull(prompt, ''), '\\n', ifNull(completion, '')))"
"""What the index of words is over, character by character as in the schema."""

_NO_ASCII = "replaceRegexpAll({}, '[\\\\x00-\\\\x7F]+', ' ')"
BY_CHARACTER = f"if(length({BY_WORD}) = lengthUTF8({BY_WORD}), '', {_NO_ASCII.format(BY_WORD)})"
"""What the index of pairs of characters is over: each stretch of ASCII is one space, a text of ASCII alone is empty."""

_LEAST_OF_A_WORD = 4  # the engine looks for shorter parts of words in the texts themselves
_MOST_WORDS = 4
_WORD = re.compile(r"[0-9a-z]+")


def found_in(text: str, columns: Sequence[str], bound: Bound) -> str:
    """The condition on `request_bodies` that one of the columns holds the text, in any letter case; 0 or 1."""
    word = _lower_ascii(text)
    if len(word) >= _LEAST_OF_A_WORD and _WORD.fullmatch(word) and set(columns) == set(BOTH_SIDES):
        return f"({_has(word, bound)})"  # the index of words alone decides, and no text is read
    wanted = f"lowerUTF8({bound.value(text, 'String')})"
    hits = [hit(column, wanted) for column in columns]
    return f"({' AND '.join([*_narrowing(text, wanted, bound), _any(hits)])})"


def hit(column: str, wanted: str) -> str:
    """Whether a column holds a lower-cased text; 0 or 1."""
    return f"ifNull(position(lowerUTF8({column}), {wanted}) > 0, 0)"


def _narrowing(text: str, wanted: str, bound: Bound) -> list[str]:
    """What holds of every text that has this one in it, and what an index can answer."""
    words = sorted({word for word in _WORD.findall(_lower_ascii(text)) if len(word) >= _LEAST_OF_A_WORD}, key=len)
    parts = [_has(word, bound) for word in words[-_MOST_WORDS:]]
    if len(text) > 1 and not text.lower().isascii():  # the Kelvin sign is an ASCII letter in lower case
        parts.append(f"{BY_CHARACTER} LIKE concat('%', {_NO_ASCII.format(wanted)}, '%')")
    return parts


def _has(word: str, bound: Bound) -> str:
    return f"{BY_WORD} LIKE {bound.value(f'%{word}%', 'String')}"


def _lower_ascii(text: str) -> str:
    """Only what every lower-casing agrees about."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def _any(hits: Sequence[str]) -> str:
    return f"({' OR '.join(hits)})"


def split(group: Group | None) -> tuple[tuple[Words, ...], Group | None]:
    """The words that every row has to hold, and what is asked besides; together they mean the same as the group."""
    words: list[Words] = []
    rest: list[Member] = []
    for member in _all_that_must_hold(group):
        if isinstance(member, Words):
            words.append(member)
        else:
            rest.append(member)
    return tuple(words), Group(False, False, tuple(rest)) if rest else None


def _all_that_must_hold(member: Member | None) -> list[Member]:
    if member is None:
        return []
    if isinstance(member, Group) and not member.negated and (not member.any_of or len(member.members) == 1):
        return [part for inner in member.members for part in _all_that_must_hold(inner)]
    return [member]
