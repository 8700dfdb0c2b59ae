"""The list of logged calls in both its forms, and the single call. Handlers translate; what is asked is a statement."""

from collections.abc import Mapping, Sequence

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from msgspec import UNSET, UnsetType

from ledger.clock import Clock
from ledger.errors import NotFound
from ledger.filtering.reach import Reach
from ledger.filtering.tree import Words
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.store.columns import BODY_NAMES
from query_api import cursors, searching, views
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.counting import count
from query_api.conditions import Conditions
from query_api.errors import AnyRequest
from query_api.finding import find
from query_api.newest import newest
from query_api.numbered import rows_of
from query_api.openapi import LIST_ERRORS, NOT_FOUND, READ_ERRORS, SECURITY, ListOperation, PathOperation
from query_api.parameters import CursorPage, NumberedPage, given, page_of
from query_api.reading import Reader
from query_api.schemas import DocumentedRequestList, RequestList, RequestLogEntry, RequestLogPage
from query_api.searching import Places

NO_BODIES = Bodies()


class RequestLogController(Controller):
    """`/api/v1/requests`."""

    path = "/api/v1/requests"

    @get(
        operation_class=ListOperation,
        security=SECURITY,
        responses=dict(LIST_ERRORS),
        summary="List logged calls",
    )
    async def listing(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        aggregates: NamedDependency[SkipValidation[Aggregates]],
    ) -> RequestList | DocumentedRequestList | RequestLogPage:
        """The calls that fulfil all conditions: the documented form, or with `view=full` or `cursor` our own.

        The documented form covers all time, always; its totalCount is exact.
        """
        page = page_of(given(request.scope["query_string"]), clock)
        if isinstance(page, CursorPage):
            return await _cursor_page(page, reach, reader, clock)
        return await _numbered_page(page, reach, reader, aggregates, clock)

    @get(
        "/{record_id:str}",
        operation_class=PathOperation,
        security=SECURITY,
        responses={**READ_ERRORS, **NOT_FOUND},
        summary="One logged call",
    )
    async def single(
        self,
        record_id: FromPath[str],
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
    ) -> RequestLogEntry:
        """All that is stored of a call, its raw texts as they came. 404 for an id that this key cannot read."""
        key = await find(record_id, reach, reader)
        logs = await reader.logs([key]) if key else {}
        if key is None or key not in logs:
            raise NotFound
        bodies = await reader.bodies([key], BODY_NAMES)
        return views.entry(logs[key], bodies.get(key, NO_BODIES))


async def _numbered_page(
    page: NumberedPage, reach: Reach, reader: Reader, aggregates: Aggregates, clock: Clock
) -> RequestList | DocumentedRequestList:
    total = await count(page.conditions, reach, aggregates, reader)
    logs = await rows_of(page, reach, reader, clock) if page.size and page.offset < total else []
    bodies = await reader.bodies([log.key for log in logs], views.LISTED_BODIES)
    found = [(log, bodies.get(log.key, NO_BODIES)) for log in logs]
    if page.as_texts:
        return DocumentedRequestList([views.documented(*pair) for pair in found], total)
    return RequestList([views.listed(*pair) for pair in found], total)


async def _cursor_page(page: CursorPage, reach: Reach, reader: Reader, clock: Clock) -> RequestLogPage:
    found = await newest(page.conditions, reach, reader, after=page.after, limit=page.limit + 1, clock=clock)
    shown = found.rows[: page.limit]
    next_cursor = cursors.encode(shown[-1].key) if len(found.rows) > page.limit else None
    places = found.places or await _places(_looked_for(page.conditions), shown, reader)
    return RequestLogPage([views.row(row, _found_in(places.get(row.key))) for row in shown], next_cursor)


async def _places(words: Sequence[Words], rows: Sequence[RequestLog], reader: Reader) -> Mapping[RowKey, Places]:
    return await searching.places(words, [row.key for row in rows], reader) if words and rows else {}


def _looked_for(conditions: Conditions) -> list[Words]:
    texts = [Words(conditions.search)] if conditions.search else []
    return [*texts, *searching.all_words(conditions.query)]


def _found_in(places: Places | None) -> list[str] | UnsetType:
    return UNSET if places is None else sorted(frozenset[str]().union(*places))
