"""Names of models and providers: which rule of the price data a name satisfies.

All names are compared in lower case. Within a provider an exact name is found before any broader rule is tried, and
the rules are tried in the order of the data.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date

from ledger.prices.schema import Match

Predicate = Callable[[str], bool]

_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def predicate_of(match: Match) -> Predicate:
    """The rule as a function of a lower-case name."""
    equals = frozenset(match.equals)
    patterns = tuple(re.compile(pattern) for pattern in match.regex)
    groups = tuple(tuple(predicate_of(rule) for rule in group) for group in match.every)

    def holds(name: str) -> bool:
        return (
            name in equals
            or name.startswith(match.starts_with)
            or name.endswith(match.ends_with)
            or any(part in name for part in match.contains)
            or any(pattern.search(name) for pattern in patterns)
            or any(all(rule(name) for rule in group) for group in groups)
        )

    return holds


def is_exact(match: Match) -> bool:
    """Does this rule list names and nothing broader?"""
    return match == Match(equals=match.equals)


class NameIndex:
    """The rules of one provider's models, ready to be searched. `find` gives the model's place in the list."""

    def __init__(self, rules: Sequence[Match]) -> None:
        self._exact: dict[str, int] = {}
        for place, rule in enumerate(rules):
            for name in rule.equals:
                self._exact.setdefault(name, place)
        self._broad = tuple((predicate_of(rule), place) for place, rule in enumerate(rules) if not is_exact(rule))

    def find(self, name: str) -> int | None:
        """The place of the model with this lower-case name; None when no rule holds."""
        found = self._exact.get(name)
        if found is not None:
            return found
        return next((place for holds, place in self._broad if holds(name)), None)


def dashed_date(name: str) -> str:
    """The name with a date such as `-20251211` written as `-2025-12-11`; gateways report it in the compact form."""
    return _COMPACT_DATE.sub(_with_dashes, name)


def _with_dashes(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:  # such as 20250231: not a date after all, so it stays as it is
        return match.group()
    return f"-{year}-{month}-{day}"
