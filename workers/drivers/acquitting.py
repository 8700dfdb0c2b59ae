"""What is being tried is acquitted as soon as the work waits for something outside of this process.

By then the records have been decoded, folded and handed over without killing anybody: whoever ends a worker that waits
for its store (an operator, a node that goes away) says nothing about them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def acquitted_by_waiting(work: Awaitable[T], waits: asyncio.Event, acquit: Callable[[], Awaitable[None]]) -> T:
    """The work's result. `acquit` is awaited beside it once `waits` is set. Cancelling this cancels the work."""
    waits.clear()
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(waits.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await acquit()
        return await working
    finally:
        waiting.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
