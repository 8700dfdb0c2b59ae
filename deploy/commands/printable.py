"""Text that somebody sent, as it may be printed: it cannot change the terminal's state."""


def printable(text: str) -> str:
    """Without control characters and marks of direction; lines stay lines."""
    return "\n".join(map(printable_line, text.split("\n")))


def printable_line(text: str) -> str:
    """The same as one line."""
    return "".join(character if character.isprintable() else "�" for character in text)
