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
        self._otherwise = otherwise
        self._subtrees = tuple(mount for mount in mounts if mount.path.endswith("/"))
        self._roots = tuple(mount.path for mount in self._subtrees)
        paths = dict.fromkeys(mount.path for mount in mounts if not mount.path.endswith("/"))
        self._exact = {path: next(mount.app for mount in mounts if mount.serves(path)) for path in paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with doubled slashes collapsed and a trailing one left out for the decision."""
        await self._app_for(scope)(scope, receive, send)

    def _app_for(self, scope: Any) -> ASGIApp:
        path: str = scope.get("path", "")
        while "//" in path:
            path = path.replace("//", "/")
        path = path.rstrip("/") or "/"
        if path in self._exact:
            return self._exact[path]
        if path.startswith(self._roots):  # few do: most requests are reports, whose service gets the rest
            return next(mount.app for mount in self._subtrees if mount.serves(path))
        return self._otherwise
