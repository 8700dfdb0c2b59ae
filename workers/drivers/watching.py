"""Work that says how far it is, and what is done beside it when it says so.

By this a record that is being tried is found less and less likely to be what kills: see `attempts`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

Reactions = Mapping[asyncio.Event, Callable[[], Awaitable[None]]]


async def watched(work: Awaitable[T], reactions: Reactions) -> T:
    """The work's result. Each reaction is awaited once, when its event is set during the work.

    Cancelling this cancels the work. What an event said before the work began does not count.
    """
    for event in reactions:
        event.clear()
    working = asyncio.ensure_future(work)
    waiting = {asyncio.ensure_future(event.wait()): reaction for event, reaction in reactions.items()}
    try:
        while not working.done():
            pending: set[asyncio.Future[Any]] = {working, *waiting}
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for said in [one for one in waiting if one.done()]:
                reaction = waiting.pop(said)
                if not working.done():
                    await reaction()
        return await working
    finally:
        for one in waiting:
            one.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
