"""Which rows a request is about, as one value, and the same as a condition with bound values.

Every read of many rows goes through here: lists, counts, statistics, the tail, exports. All that is given must hold.
"""

from dataclasses import dataclass

from ledger.filtering.filter_text import Group
from ledger.filtering.filters import condition, in_bodies
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from ledger.filtering.texts import BOTH_SIDES, found_in

NOT_DELETED = "is_deleted = 0"
BODIES = "request_bodies"
"""The table's name: in a condition it can only come from us, for values are bound and never part of the text."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which rows are meant. All of them must hold."""

    user_id: str | None = None
    search: str | None = None
    filter: Group | None = None  # the JSON filter
    query: Group | None = None  # q=
    created_from: int | None = None  # milliseconds since 1970, the first inside
    created_before: int | None = None  # the first outside


def where(conditions: Conditions, reach: Reach, bound: Bound) -> str:
    """The condition on rows of `request_logs` as they stand now. Raises `BadFilter`."""
    return " AND ".join(
        [reach.clause(bound), NOT_DELETED, *times(conditions, bound), *matching(conditions, reach, bound)]
    )


def times(conditions: Conditions, bound: Bound) -> list[str]:
    """The bounds in time, as far as they are given."""
    parts = []
    if conditions.created_from is not None:
        parts.append(f"created_at >= {bound.time(conditions.created_from)}")
    if conditions.created_before is not None:
        parts.append(f"created_at < {bound.time(conditions.created_before)}")
    return parts


def matching(conditions: Conditions, reach: Reach, bound: Bound) -> list[str]:
    """What is asked of a row beside whose it is, when it came and that it is there. Raises `BadFilter`."""
    parts = []
    if conditions.user_id is not None:
        parts.append(f"user_id = {bound.value(conditions.user_id, 'String')}")
    if conditions.search is not None:
        parts.append(_found(conditions.search, reach, bound))
    parts += [condition(group, reach, bound) for group in (conditions.filter, conditions.query) if group is not None]
    return parts


def looks_into_bodies(conditions: Conditions, reach: Reach) -> bool:
    """Whether the rows alone do not say which of them match. Raises `BadFilter`."""
    return any(BODIES in part for part in matching(conditions, reach, Bound()))


def _found(search: str, reach: Reach, bound: Bound) -> str:
    in_the_id = f"positionCaseInsensitiveUTF8(provider_response_id, {bound.value(search, 'String')}) > 0"
    return f"({in_the_id} OR {in_bodies(found_in(search, BOTH_SIDES, bound), reach, bound)})"
