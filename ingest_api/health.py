"""Is the process alive, should it get traffic, which version is it. JSON, without a key.

Readiness fails only after a long outage of the bus, else a balancer takes every node away at once; and not for ever,
for a node without traffic could never show that the bus is back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

TRIAL_SECONDS = 30.0
"""A node that has been refused nothing for so long gets traffic again."""


@dataclass(slots=True)
class BusHealth:
    """What the last publishes say about the bus."""

    unready_after_seconds: float
    now: Callable[[], float]
    started: bool = False
    _refused_since: float | None = field(default=None, init=False)
    _refused_last: float = field(default=0.0, init=False)

    def confirmed(self) -> None:
        """The bus has taken a record."""
        self._refused_since = None

    def refused(self) -> None:
        """The bus has not confirmed a record."""
        self._refused_last = self.now()
        if self._refused_since is None:
            self._refused_since = self._refused_last

    @property
    def ready(self) -> bool:
        """Whether this node should get traffic."""
        if self._refused_since is None:
            return self.started
        long = self._refused_last - self._refused_since >= self.unready_after_seconds
        lately = self.now() - self._refused_last < TRIAL_SECONDS
        return self.started and not (long and lately)


def health_handlers(bus_health: BusHealth, price_version: str) -> list[HTTPRouteHandler]:
    """The three endpoints that need no key."""
    about = _json({"service": "ingest-api", "version": version("llmledger"), "price_version": price_version}, 200)

    @get("/health/live", include_in_schema=False)
    async def live() -> Response[bytes]:
        """The process answers."""
        return _json({"status": "ok"}, 200)

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[bytes]:
        """The process should get traffic."""
        return _json({"status": "ok"}, 200) if bus_health.ready else _json({"status": "bus unavailable"}, 503)

    @get("/version", include_in_schema=False)
    async def about_this() -> Response[bytes]:
        """What is running."""
        return about

    return [live, ready, about_this]


def _json(content: dict[str, Any], status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")
