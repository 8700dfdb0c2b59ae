"""One ASGI application in front of several: each request goes to the service that serves its path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Mount:
    """A path (or, ending in `/`, everything below it) and who serves it."""

    path: str
    app: ASGIApp

    def serves(self, path: str) -> bool:
        """Whether a request for this path goes there."""
        return path.startswith(self.path) if self.path.endswith("/") else path == self.path


class Dispatcher:
    """The first mount that serves a path gets the request; `otherwise` gets the rest."""

    def __init__(self, mounts: Sequence[Mount], otherwise: ASGIApp) -> None:
        self._mounts = tuple(mounts)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with doubled slashes collapsed and a trailing one left out for the decision."""
        await self._app_for(scope)(scope, receive, send)

    def _app_for(self, scope: Any) -> ASGIApp:
        path: str = scope.get("path", "")
        while "//" in path:
            path = path.replace("//", "/")
        path = path.rstrip("/") or "/"
        return next((mount.app for mount in self._mounts if mount.serves(path)), self._otherwise)
