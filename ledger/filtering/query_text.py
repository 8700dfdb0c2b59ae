"""The text of `q=` → a tree of rules."""

from ledger.filtering.filter_text import Group


def parse_query(text: str | None) -> Group | None:
    """The tree, or None when the text asks for nothing. Raises `BadFilter`."""
    if text is None or not text.strip():
        return None
    raise NotImplementedError
