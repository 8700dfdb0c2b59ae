"""Counts: numbers from somebody else's JSON, of which only sane counts are believed."""

from collections.abc import Mapping
from typing import Any

from ledger.usage import count_of


class Counts:
    """A mapping seen as counts: whatever in it is not a sane count is not there."""

    __slots__ = ("_mapping",)

    def __init__(self, mapping: object) -> None:
        self._mapping: Mapping[str, Any] = mapping if isinstance(mapping, Mapping) else {}

    def get(self, *names: str) -> int | None:
        """The first of these that is a count."""
        for name in names:
            count = count_of(self._mapping.get(name))
            if count is not None:
                return count
        return None

    def under(self, *names: str) -> "Counts":
        """The counts in the first of these that is a mapping."""
        for name in names:
            value = self._mapping.get(name)
            if isinstance(value, Mapping):
                return Counts(value)
        return _NO_COUNTS

    def by_modality(self, *lists: str) -> dict[str, int]:
        """Tokens by modality, from lists of {modality, tokenCount}."""
        tokens: dict[str, int] = {}
        for name in lists:
            for entry in mappings_in(self._mapping.get(name)):
                count, modality = count_of(entry.get("tokenCount")), entry.get("modality")
                if count is not None and isinstance(modality, str):
                    tokens[modality] = tokens.get(modality, 0) + count
        return {modality: count for modality, count in tokens.items() if count_of(count) is not None}


_NO_COUNTS = Counts(None)


def mappings_in(value: object) -> list[Mapping[str, Any]]:
    """The mappings in a list; none when it is not a list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def sum_of(*counts: int | None) -> int | None:
    """The sum of those that are known; None when none is, or when it is no sane count."""
    known = [count for count in counts if count is not None]
    return count_of(sum(known)) if known else None


def first_of(*counts: int | None) -> int | None:
    """The first that is known."""
    for count in counts:
        if count is not None:
            return count
    return None
