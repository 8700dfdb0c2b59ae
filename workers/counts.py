"""Counts: numbers from somebody else's JSON, of which only sane counts are believed."""

from typing import Any

from ledger.usage import INT64_MAX, count_of

Json = dict[str, Any]
"""A JSON object."""

Counts = dict[str, int]
"""The sane counts of a JSON object, by name. What in it is no count is not there."""


def counts_in(value: object) -> Counts:
    """The sane counts in a JSON object; none when it is no object."""
    if not isinstance(value, dict):
        return {}
    counts = {}
    for name, number in value.items():
        if type(number) is int and 0 <= number <= INT64_MAX:  # nearly all are; a call for each takes twice as long
            counts[name] = number
        elif (count := count_of(number)) is not None:
            counts[name] = count
    return counts


def object_in(*values: object) -> Json:
    """The first of these that is a JSON object; an empty one when none is."""
    for value in values:
        if isinstance(value, dict):
            return value
    return {}


def objects_among(value: object) -> list[Json]:
    """The JSON objects in a list; none when it is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def counts_by_modality(*lists: object) -> Counts:
    """Tokens by modality, from lists of {modality, tokenCount}."""
    tokens: Counts = {}
    for entries in lists:
        for entry in objects_among(entries):
            count, modality = count_of(entry.get("tokenCount")), entry.get("modality")
            if count is not None and isinstance(modality, str):
                tokens[modality] = tokens.get(modality, 0) + count
    return counts_in(tokens)


def sum_of(*counts: int | None) -> int | None:
    """The sum of those that are known; None when none is, or when it is no sane count."""
    total = None
    for count in counts:
        if count is not None:
            total = count if total is None else total + count
    return total if total is None or total <= INT64_MAX else None


def first_of(*counts: int | None) -> int | None:
    """The first that is known."""
    for count in counts:
        if count is not None:
            return count
    return None
