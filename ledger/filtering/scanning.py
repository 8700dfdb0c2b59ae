"""The characters of a search text, piece by piece: words, quoted texts, signs. What they mean is not decided here.

Every complaint names a character of the text, counted from 1.
"""

from ledger.filtering.tree import BadFilter, Operator

KEYWORDS = frozenset({"AND", "OR", "NOT"})

_SIGNS = (Operator.AT_LEAST, Operator.AT_MOST, Operator.GREATER, Operator.LESS)


def complaint(at: int, why: str) -> BadFilter:
    """What is wrong at a place of the text, counted from 0."""
    return BadFilter(f"q: character {at + 1}: {why}")


class Scanner:
    """A place in the text, which moves on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def spaces(self) -> int:
        """Pass over white space; the place after it."""
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1
        return self.at

    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at == len(self._text)

    def ahead(self, sign: str) -> bool:
        """Whether these characters come next."""
        return self._text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        """Pass over these characters, if they come next."""
        if not self.ahead(sign):
            return False
        self.at += len(sign)
        return True

    def keyword(self) -> str | None:
        """The keyword that comes next; the place stays."""
        word = self._text[self.at : self._end_of_word("")]
        return word if word in KEYWORDS else None

    def take_keyword(self, keyword: str) -> bool:
        """Pass over this keyword, if it comes next."""
        return self.keyword() == keyword and self.take(keyword)

    def sign(self) -> Operator | None:
        """Pass over a sign of comparison."""
        return next((sign for sign in _SIGNS if self.take(sign)), None)

    def word(self, stop: str = "") -> str:
        """What comes before the next white space, parenthesis, quote or `stop`; may be empty."""
        begin, self.at = self.at, self._end_of_word(stop)
        return self._text[begin : self.at]

    def quoted(self) -> str:
        """The text in the quotes that open here."""
        begin = self.at
        characters: list[str] = []
        self.at += 1
        while not self.done():
            character = self._text[self.at]
            self.at += 1
            if character == '"':
                return "".join(characters)
            characters.append(self._escaped() if character == "\\" else character)
        raise complaint(begin, "this quote is not closed")

    def apart(self) -> None:
        """Complain unless the piece that was read ends here."""
        if not (self.done() or self.ahead(")") or self._text[self.at].isspace()):
            raise complaint(
                self.at, 'a space was expected here; a text with spaces, quotes or parentheses stands in "quotes"'
            )

    def _escaped(self) -> str:
        character = self._text[self.at : self.at + 1]
        if character not in ('"', "\\"):
            raise complaint(self.at - 1, r'in quotes a \ stands before " or \ only; write \\ for one')
        self.at += 1
        return character

    def _end_of_word(self, stop: str) -> int:
        at = self.at
        while at < len(self._text) and not (self._text[at].isspace() or self._text[at] in '()"' + stop):
            at += 1
        return at
