"""What the front must know about a statement before it runs: where inline data begins, which format the answer has.

It reads words and skips strings, quoted names, comments and brackets. It does not check grammar: the engine does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.clickhouse_front.errors import SYNTAX_ERROR, refused

_TOKEN = re.compile(
    rb"""(?P<skip> \s++ | --[^\n]*+ | \#[\ !][^\n]*+ | /\*.*?\*/ | \d\w*+
           | '(?:[^'\\]++|\\.|'')*+' | "(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+`
           | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
       | (?P<word>[A-Za-z_]\w*+) | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<end>;) | .""",
    re.DOTALL | re.VERBOSE,
)
_SOURCES_OF_INSERT = frozenset({b"SELECT", b"WITH", b"VALUES", b"FROM", b"WATCH"})
_ANSWERING = frozenset(
    {b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b"KILL"}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word, upper-cased; `depth` counts the brackets around it."""

    text: bytes
    start: int
    stop: int
    depth: int


@dataclass(frozen=True, slots=True)
class InlineInsert:
    """An INSERT whose rows follow its text: `into` and `settings` stand around their source."""

    into: bytes
    settings: bytes
    format_name: str
    data: memoryview


def inline_insert(sql: bytes) -> InlineInsert | None:
    """The parts of `INSERT … FORMAT name` with its data; None for all else, so for VALUES and SELECT too."""
    words = (word for word in _words(sql) if word.depth == 0)
    first = next(words, None)
    if first is None or first.text != b"INSERT":
        return None
    settings_at: int | None = None
    for word in words:
        if word.text in _SOURCES_OF_INSERT:
            return None
        if word.text == b"SETTINGS":
            settings_at = word.start
        if word.text == b"FORMAT" and (name := next(words, None)):
            into_stop = word.start if settings_at is None else settings_at
            data = memoryview(sql)[_data_start(sql, name.stop) :]
            return InlineInsert(sql[:into_stop], sql[into_stop : word.start], _spelling(sql, name), data)
    return None


def answer_format(sql: bytes, default: str) -> str | None:
    """The format of the statement's rows: its own FORMAT clause, else `default`; None when it answers with none."""
    words = list(_words(sql))
    if not words or words[0].text not in _ANSWERING:
        return None
    top = [word for word in words if word.depth == 0]
    for clause, name, after in zip(top, top[1:], [*top[2:], None], strict=False):
        if clause.text == b"FORMAT" and (after is None or after.text == b"SETTINGS"):
            return _spelling(sql, name)
    return default


def refuse_several(sql: bytes) -> None:
    """Refuse `a; b` as a server does; the engine in process would run both."""
    ended = False
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "end":
            ended = True
        elif ended and token.lastgroup != "skip":
            raise refused(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)")


def _words(sql: bytes) -> Iterator[Word]:
    depth = 0
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "word":
            yield Word(token.group().upper(), token.start(), token.end(), depth)
        elif token.lastgroup == "open":
            depth += 1
        elif token.lastgroup == "close":
            depth -= 1


def _spelling(sql: bytes, word: Word) -> str:
    return sql[word.start : word.stop].decode()


def _data_start(sql: bytes, after_name: int) -> int:
    """Behind the format's name come blanks and at most one line break that are not data."""
    at = after_name
    while sql[at : at + 1] in (b" ", b"\t", b"\f"):
        at += 1
    at += sql[at : at + 1] == b"\r"
    return at + (sql[at : at + 1] == b"\n")
