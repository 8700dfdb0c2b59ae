"""One export from top to bottom: rows → their bodies → bytes. Read this first.

Whoever iterates decides the pace: the next page is asked of the store when the one before has been taken, so never more
than one page is held.
"""

import asyncio
from collections.abc import AsyncGenerator

from ledger.ids import ProjectId
from query_api.export.forms import Form
from query_api.export.loading import Loader
from query_api.export.places import Places
from query_api.export.walking import Walk


async def produced(
    walk: Walk, loader: Loader, form: Form, places: Places, project: ProjectId | None
) -> AsyncGenerator[bytes, None]:
    """The file in parts; some may be empty. The first one comes when the store has answered for the first time.

    Raises `TooManyExports` before anything else, and whatever the reader raises: then the file is broken, not ended.
    """
    with places.taken(project):
        waiting = await asyncio.to_thread(form.begin)
        while (logs := await walk.page()) is not None:
            items, rest = await loader.load(logs)
            yield waiting + await asyncio.to_thread(form.page, items)
            while rest:
                items, rest = await loader.load(rest)
                yield await asyncio.to_thread(form.page, items)
            waiting = b""
        yield waiting + await asyncio.to_thread(form.end)
