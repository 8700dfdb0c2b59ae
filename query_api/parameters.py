"""The query parameters of the list: their names, their rules, their form in the API document, in one place.

An empty value counts as absent; of a repeated parameter the first counts; unknown ones are ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import parse_qsl

from ledger.clock import Clock
from ledger.filtering.filter_text import MAX_TEXT_BYTES, parse_filter
from ledger.filtering.query_text import parse_query
from ledger.request_log import RowKey
from query_api import cursors
from query_api.conditions import Conditions
from query_api.errors import BadParameter, TooExpensive
from query_api.instants import bound_ms
from query_api.sorting import SORTS, Sort

MAX_PAGE_SIZE = 10_000
MAX_LIMIT = 1000
MAX_DEPTH = 1_000_000
"""So many rows from the beginning a numbered page may reach: every one before it is sorted and thrown away again."""

DOCUMENTED_ONLY = ("sortBy", "sortOrder", "pageSize", "pageNumber", "types")

_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page of the documented form."""

    conditions: Conditions
    sort: Sort = SORTS["createdAt"]
    ascending: bool = False
    size: int = 10
    number: int = 1
    as_texts: bool = False  # types=documented

    @property
    def offset(self) -> int:
        """How many rows stand before the page."""
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class CursorPage:
    """A page of our own form, newest first."""

    conditions: Conditions
    after: RowKey | None = None
    limit: int = 50


Page: TypeAlias = NumberedPage | CursorPage
Given: TypeAlias = Mapping[str, str]


def given(query_string: bytes) -> Given:
    """The parameters of a request, decoded once."""
    pairs = parse_qsl(query_string.decode("utf-8", "replace"), keep_blank_values=True)
    return dict(reversed(pairs))


def page_of(parameters: Given, clock: Clock) -> Page:
    """The page that is asked for. Raises `BadParameter`, or `TooExpensive` for one too far from the beginning."""
    view = parameters.get("view") or None
    if view not in (None, "full"):
        raise BadParameter("view", "must be full")
    return _cursor_page(parameters, clock) if view or "cursor" in parameters else _numbered_page(parameters)


def _numbered_page(parameters: Given) -> NumberedPage:
    sort_by, order = parameters.get("sortBy") or "createdAt", (parameters.get("sortOrder") or "desc").lower()
    if sort_by not in SORTS:
        raise BadParameter("sortBy", f"must be one of: {', '.join(SORTS)}")
    if order not in ("asc", "desc"):
        raise BadParameter("sortOrder", "must be asc or desc")
    types = parameters.get("types") or "real"
    if types not in ("documented", "real"):
        raise BadParameter("types", "must be documented or real")
    page = NumberedPage(
        conditions=_conditions(parameters),
        sort=SORTS[sort_by],
        ascending=order == "asc",
        size=_integer(parameters, "pageSize", 10, (0, MAX_PAGE_SIZE)),
        number=_integer(parameters, "pageNumber", 1, (1, 10**15)),
        as_texts=types == "documented",
    )
    if page.offset + page.size > MAX_DEPTH:
        raise TooExpensive(
            f"pageNumber: pages reach to row {MAX_DEPTH} and no further. Narrow the list by user_id, search or"
            " filter, turn sortOrder round, or list with view=full&cursor= and follow next_cursor; there from, to and q"
            " narrow it, too."
        )
    return page


def _cursor_page(parameters: Given, clock: Clock) -> CursorPage:
    for name in DOCUMENTED_ONLY:
        if parameters.get(name):
            raise BadParameter(
                name, "does not go with view=full or cursor, which list newest first by cursor and limit"
            )
    cursor = parameters.get("cursor")
    return CursorPage(
        conditions=conditions_of(parameters, clock),
        after=cursors.decode(cursor) if cursor else None,
        limit=_integer(parameters, "limit", 50, (1, MAX_LIMIT)),
    )


def conditions_of(parameters: Given, clock: Clock) -> Conditions:
    """Which rows are meant, as every endpoint of our own takes it. Raises `BadParameter` or `BadFilter`."""
    return replace(
        _conditions(parameters),
        created_from=bound_ms("from", parameters.get("from") or None, clock),
        created_before=bound_ms("to", parameters.get("to") or None, clock),
    )


def _conditions(parameters: Given) -> Conditions:
    return Conditions(
        user_id=_text(parameters, "user_id"),
        search=_text(parameters, "search"),
        filter=parse_filter(parameters.get("filter")),
        query=parse_query(_text(parameters, "q")),
    )


def _text(parameters: Given, name: str) -> str | None:
    text = parameters.get(name) or None
    if text and len(text.encode()) > MAX_TEXT_BYTES:
        raise BadParameter(name, f"is longer than {MAX_TEXT_BYTES} bytes")
    return text


def _integer(parameters: Given, name: str, default: int, allowed: tuple[int, int]) -> int:
    text = parameters.get(name)
    if not text:
        return default
    least, most = allowed
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise BadParameter(name, f"must be a whole number from {least} to {most}")
    return int(text)
