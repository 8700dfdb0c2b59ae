"""What rows can be grouped by: the parameter's word → SQL and what is shown. null in an answer is unknown.

`metadata.NAME` groups by a value of the metadata. Of users, sessions and metadata there may be very many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Any

from ledger.filtering.statements import Bound
from query_api.aggregates.partials import Key
from query_api.errors import BadParameter

METADATA_PREFIX = "metadata."
MAX_NAME_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Column:
    """A column that rows are grouped by; '' or NULL in it is unknown."""

    sql: str
    many: bool = False
    empty_is_unknown: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """One dimension of a question."""

    name: str
    sql: str
    many: bool
    empty_is_unknown: bool

    def shown(self, value: Any) -> Any:
        """The value, with None for unknown."""
        return None if value == "" and self.empty_is_unknown else value


COLUMNS: Mapping[str, Column] = {
    "model": Column("model_requested"),
    "provider": Column("provider"),
    "user": Column("user_id", many=True),
    "project": Column("project"),
    "status": Column("status_code"),
    "source": Column("source"),
    "environment": Column("environment"),
    "session": Column("session_id", many=True),
}
FACET_COLUMNS: Mapping[str, Column] = {
    **COLUMNS,
    "finish_reason": Column("finish_reason"),
    "streamed": Column("streamed"),
    "cached": Column("cached"),
}


def group_of(parameter: str, name: str, columns: Mapping[str, Column], bound: Bound) -> Group:
    """The dimension of this name. Raises `BadParameter`."""
    column = columns.get(name)
    if column is not None:
        return Group(name, column.sql, column.many, column.empty_is_unknown)
    key = name.removeprefix(METADATA_PREFIX)
    if key == name or not key or len(key.encode()) > MAX_NAME_BYTES:
        raise BadParameter(parameter, f"must name some of: {', '.join(columns)}, {METADATA_PREFIX}NAME")
    wanted = bound.value(key, "String")
    value = f"if(has(metadata_keys, {wanted}), metadata_values[indexOf(metadata_keys, {wanted})], NULL)"
    return Group(name, value, many=True, empty_is_unknown=False)


def names_in(text: str) -> list[str]:
    """The names of a list with commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def identity_of(groups: Sequence[Group]) -> str:
    """SQL: a text that two rows share exactly when they are of one group."""
    texts = [f"if(isNull({group.sql}), 'n', {_with_length(group.sql)})" for group in groups]
    return f"hex(sipHash128({', '.join(texts)}))"


def _with_length(sql: str) -> str:
    text = f"ifNull(toString({sql}), '')"
    return f"concat('v', toString(length({text})), ':', {text})"


def order_of(requests: int, key: Key) -> tuple[int, list[tuple[bool, str]]]:
    """Groups with more requests come first; among equals by text, the unknown last."""
    return -requests, [(value is None, str(value)) for value in key]


def first_of(requests: Sequence[int], keys: Sequence[Key], limit: int) -> list[tuple[int, Key]]:
    """The first groups in that order. Never all are sorted, for there may be very many; for a thread of its own."""
    least = nlargest(limit, requests)[-1] if len(requests) > limit else 0
    candidates = [pair for pair in zip(requests, keys, strict=True) if pair[0] >= least]
    return nsmallest(limit, candidates, key=lambda pair: order_of(*pair))
