"""How an endpoint of ours is called and answers: the request in, ready bytes out, nothing between.

Litestar routes the request, describes the endpoint and turns errors into answers. What it does beside that for a
handler (arguments, dependencies, a response to be serialised) costs 17 us, a third of a report, for nothing.
"""

from typing import Any, TypeVar

from litestar import Request, Response, post
from litestar.config.cors import CORSConfig
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(Response[T]):
    """A JSON body that is encoded already, and its headers as they go over the wire, names in lower case.

    It is a `Response` for its type alone, from which the API document reads what a handler answers; `Direct` sends it.
    """

    __slots__ = ("_body", "_headers")

    def __init__(self, body: bytes, headers: Headers = ()) -> None:  # none of what Litestar's own responses carry
        self._body = body
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it, with status 200."""
        length = (b"content-length", b"%d" % len(self._body))
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length, *self._headers]})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


_JSON = (b"content-type", b"application/json")


class Direct:
    """Middleware of one route: calls its handler, which takes the request alone and returns an `Answer`."""

    def __init__(self, app: ASGIApp) -> None:
        del app  # what would call the handler otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. What the handler raises is answered as everywhere."""
        handle: Any = scope["route_handler"].fn
        answer: Answer[Any] = await handle(Request(scope, receive, send))
        await answer(scope, receive, send)


_DESCRIBING = frozenset(
    (
        *("summary", "tags", "security", "deprecated", "operation_class"),
        *("response_headers", "response_description", "responses"),
    )
)


def direct(paths: list[str], **described: Any) -> HTTPRouteHandler:
    """The decorator of an endpoint that takes the request alone and returns an `Answer`.

    Raises `TypeError` for an option that does more than describe: `Direct` would pass it by (a guard, a dependency).
    """
    if passed_by := described.keys() - _DESCRIBING:
        raise TypeError(f"An endpoint that is called directly cannot have {', '.join(sorted(passed_by))}.")
    return post(paths, status_code=200, middleware=[Direct], **described)


class CrossOrigin:
    """Litestar's own handling of foreign origins, for requests that name one. To pass it costs 3 us, and few do."""

    def __init__(self, cors: Any) -> None:
        if not isinstance(getattr(cors, "config", None), CORSConfig):
            raise TypeError(f"What handles foreign origins has to be outermost, and is {type(cors).__name__}.")
        self._cors: ASGIApp = cors
        self._without: ASGIApp = cors.app  # the application that it wraps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        named = b"origin" in dict(scope["headers"])
        await (self._cors if named else self._without)(scope, receive, send)
