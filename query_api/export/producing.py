"""One export from top to bottom: rows → their bodies → bytes. Read this first.

Whoever iterates decides the pace: the next page is asked of the store when the one before has been taken, so never more
than one page is held.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeAlias

from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.request_log import RequestLog
from query_api.export.columns import Item
from query_api.export.forms import Form
from query_api.export.loading import Loader
from query_api.export.places import Places
from query_api.export.walking import Walk

ReachNow: TypeAlias = Callable[[], Awaitable[Reach]]
"""What may be read by now. Raises `Refused` once the key may not read any more."""


async def produced(
    walk: Walk, loader: Loader, form: Form, places: Places, project: ProjectId | None, reach_now: ReachNow
) -> AsyncGenerator[bytes, None]:
    """The file in parts; some may be empty. The first one comes when the store has answered for the first time.

    Raises `TooManyExports` before anything else, and whatever the reader and `reach_now` raise: then the file is
    broken, not ended. Before everything that is read the key is looked at again.
    """

    async def load(logs: Sequence[RequestLog]) -> tuple[Sequence[Item], Sequence[RequestLog]]:
        items, rest = await loader.load(logs)
        walk.missed(len(logs) - len(rest) - len(items))
        return items, rest

    with places.taken(project):
        waiting = await asyncio.to_thread(form.begin)
        while (logs := await _next_page(walk, reach_now)) is not None:
            items, rest = await load(logs)
            yield waiting + await asyncio.to_thread(form.page, items)
            while rest:
                walk.reach = await reach_now()
                items, rest = await load(rest)
                yield await asyncio.to_thread(form.page, items)
            waiting = b""
        yield waiting + await asyncio.to_thread(form.end)


async def _next_page(walk: Walk, reach_now: ReachNow) -> Sequence[RequestLog] | None:
    walk.reach = await reach_now()
    return await walk.page()
