"""What stands before every admin endpoint: the key is judged before the body is read, and the body has bounds.

Nobody without a key with the scope `admin` can make this service keep or decode anything that was sent.
"""

import asyncio
from collections.abc import Awaitable, Callable

from litestar import Router
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler

from query_api.admin import CONTROLLERS
from query_api.auth import Doorkeeper
from query_api.errors import AnyConnection, AnyRequest

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0


def admin_router(door: Doorkeeper) -> Router:
    """The admin endpoints behind this door."""

    def key_first(connection: AnyConnection, _: BaseRouteHandler) -> None:
        door.admin_reach(connection)

    return Router(
        path="/",
        route_handlers=CONTROLLERS,
        guards=[key_first],
        before_request=body_within(BODY_SECONDS),
        request_max_body_size=MAX_BODY_BYTES,
    )


def body_within(seconds: float) -> Callable[[AnyRequest], Awaitable[None]]:
    """Reads the body before anything else is done with it; one that takes longer is a 408."""

    async def read(request: AnyRequest) -> None:
        try:
            async with asyncio.timeout(seconds):
                await request.body()
        except TimeoutError:
            raise ClientException("The body did not arrive in time.", status_code=408) from None

    return read
