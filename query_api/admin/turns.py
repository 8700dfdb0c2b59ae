"""Heavy work one at a time: those who come meanwhile wait for their turn, but not for ever."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from litestar import Response

from ledger.errors import LedgerError
from query_api.errors import AnyRequest
from query_api.schemas import ErrorBody

T = TypeVar("T")

PATIENCE_SECONDS = 30.0


class Busy(LedgerError):
    """Others have their turn, and the wait for it was too long."""


class Turns:
    """Work that was begun keeps its turn until it has ended, also where nobody waits for its result any more."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work returns or raises. Raises `Busy` when it did not come to its turn."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy("Others are asking the same of this service: try again in a moment.") from None
        at_work = asyncio.create_task(work())
        at_work.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(at_work)


def busy_answer(_request: AnyRequest, error: Busy) -> Response[ErrorBody]:
    """503, and when to come back."""
    return Response(ErrorBody(error=str(error)), status_code=503, headers={"Retry-After": "30"})
