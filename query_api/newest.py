"""The newest rows that match, in order: what lists, exports and the terminal read page by page."""

from collections.abc import Sequence

from ledger.filtering.reach import Reach
from ledger.request_log import RequestLog, RowKey
from query_api import listing
from query_api.conditions import Conditions
from query_api.parameters import CursorPage
from query_api.reading import Reader


async def newest(
    conditions: Conditions, reach: Reach, reader: Reader, *, after: RowKey | None, limit: int
) -> Sequence[RequestLog]:
    """At most so many rows, newest first, that come strictly after this one in that order."""
    keys = await reader.keys(listing.after_cursor(CursorPage(conditions, after, limit - 1), reach))
    return list((await reader.logs(keys)).values())
