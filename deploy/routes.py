"""One routing table: which service answers which path. The standalone's dispatcher and gateways are made from it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.types import ASGIApp

import query_api.routes
from deploy.dispatcher import Dispatcher, Mount


class Service(StrEnum):
    """The HTTP services."""

    INGEST = "ingest-api"
    QUERY = "query-api"


@dataclass(frozen=True, slots=True)
class Route:
    """A path, or everything below it when it ends in `/`, and the service that answers every method on it."""

    path: str
    service: Service


def _prefix_of(path: str) -> str:
    return path.partition("{")[0]


ROUTES: tuple[Route, ...] = tuple(
    dict.fromkeys(Route(_prefix_of(path), Service.QUERY) for _, path in query_api.routes.ROUTES)
)
"""What `query_api` answers; `ingest_api` answers everything else, unknown paths included."""


def standalone_app(ingest: Litestar, query: Litestar, ready: Callable[[], Mapping[str, str]]) -> ASGIApp:
    """Both services behind one address, with one health page and one API document."""
    apps: Mapping[Service, ASGIApp] = {Service.INGEST: ingest, Service.QUERY: query}
    document = json.dumps(merged_schema(ingest, query)).encode()
    about = json.dumps({"name": "llmledger", "service": "llmledger", "version": version("llmledger")}).encode()
    mounts = [
        *(Mount(route.path, apps[route.service]) for route in ROUTES),
        Mount("/schema", Page(lambda: (200, document))),
        Mount("/schema/openapi.json", Page(lambda: (200, document))),
        Mount("/health/live", Page(lambda: (200, b'{"status":"ok"}'))),
        Mount("/health/ready", Page(lambda: readiness(ready()))),
        Mount("/version", Page(lambda: (200, about))),
    ]
    return Dispatcher(mounts, otherwise=ingest)


def merged_schema(*apps: Litestar) -> dict[str, Any]:
    """One OpenAPI document of all these services. A name that two of them use must mean the same in both."""
    merged: dict[str, Any] = {}
    for app in apps:
        _merge(merged, app.openapi_schema.to_schema(), depth=3)
    merged["info"] = {"title": "LLM Ledger", "version": version("llmledger")}
    merged.pop("servers", None)
    return merged


def _merge(into: dict[str, Any], more: Mapping[str, Any], depth: int) -> None:
    for key, value in more.items():
        if depth and isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, depth - 1)
        else:
            into.setdefault(key, value)


def readiness(checks: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body of a readiness page: 200 when every check says `ok`, else 503."""
    well = all(result == "ok" for result in checks.values())
    return (200 if well else 503), json.dumps({"status": "ok" if well else "unavailable", "checks": checks}).encode()


CORS = (b"access-control-allow-origin", b"*")


class Page:
    """A small JSON answer to GET and HEAD."""

    def __init__(self, content: Callable[[], tuple[int, bytes]]) -> None:
        self._content = content

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer without reading the request."""
        status, body = self._answer(scope["method"])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), CORS]
        sent = b"" if scope["method"] == "HEAD" else body
        await send(
            {"type": "http.response.start", "status": status, "headers": headers[2:] if status == 204 else headers}
        )
        await send({"type": "http.response.body", "body": sent, "more_body": False})

    def _answer(self, method: str) -> tuple[int, bytes]:
        if method == "OPTIONS":
            return 204, b""
        return self._content() if method in {"GET", "HEAD"} else (405, b'{"error":"Method not allowed"}')
