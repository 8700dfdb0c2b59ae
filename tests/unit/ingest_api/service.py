"""The service over a bus in memory, for tests: one project with three kinds of key, and another project."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar

from ingest_api.app import create_app
from ingest_api.settings import IngestSettings
from ledger.bus import Position, Record
from ledger.bus.memory import MemoryBus
from ledger.clock import to_milliseconds
from ledger.key_file import edit
from ledger.keys import KeyFileContent, KeyRing, Scope, with_new_key
from ledger.report import Envelope, decode
from ledger.settings import KeysSection, SqliteLogSection

NOW = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
PROJECT = "acme"
FOREIGN_PROJECT = "other"
PRICE_VERSION = "prices-1"


@dataclass(frozen=True, slots=True)
class KeyTexts:
    """Keys as clients hold them."""

    good: str
    read_only: str
    foreign: str


class RaisingBus(MemoryBus):
    """A bus that fails in the given way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def publish(self, record: Record) -> Position:
        """Raise the error."""
        raise self.error


@dataclass(frozen=True, slots=True)
class IngestService:
    """The app, its bus and its keys."""

    app: Litestar
    bus: MemoryBus
    keys: KeyRing
    texts: KeyTexts

    def client(self) -> httpx.AsyncClient:
        """A client; what the app does not catch reaches it as a 500."""
        app: Any = self.app  # the two libraries spell the same protocol in different types
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://ledger.test")

    def envelope(self, index: int = -1) -> Envelope:
        """The envelope of a published record."""
        return decode(self.bus.records[index].envelope)

    @property
    def openpipe(self) -> dict[str, str]:
        """The headers of an OpenPipe client."""
        return {"authorization": f"Bearer {self.texts.good}"}

    @property
    def pezzo(self) -> dict[str, str]:
        """The headers of a Pezzo client."""
        return {"x-pezzo-project-id": PROJECT, "x-pezzo-api-key": self.texts.good}

    @property
    def log_entries(self) -> dict[str, str]:
        """The headers of a client of log entries."""
        return {"x-api-key": self.texts.good}


def make_service(folder: Path, bus: MemoryBus | None = None, **changes: Any) -> IngestService:
    """A fresh service; `changes` are settings of it."""
    texts: list[str] = []

    def with_keys(content: KeyFileContent) -> KeyFileContent:
        scopes = ((PROJECT, [Scope.INGEST]), (PROJECT, [Scope.QUERY]), (FOREIGN_PROJECT, [Scope.INGEST]))
        for project, scope in scopes:
            new = with_new_key(content, project, scope, "2026-01-01")
            texts.append(new.key)
            content = new.content
        return content

    file = folder / "keys.json"
    edit(file, with_keys)
    settings = IngestSettings(SqliteLogSection(folder / "bus.sqlite"), KeysSection(file))
    bus, keys = bus or MemoryBus(), KeyRing(file)
    app = create_app(
        replace(settings, **changes), publisher=bus, keys=keys, price_version=PRICE_VERSION, clock=lambda: NOW
    )
    return IngestService(app, bus, keys, KeyTexts(*texts))


def a_pezzo_report(**changes: Any) -> dict[str, Any]:
    """A valid Pezzo report; say in the test only what the test is about."""
    return {
        "metadata": {"provider": "OpenAI", "client": "c", "clientVersion": "1", "environment": "Production"},
        "request": {"timestamp": "2026-01-01T00:00:00.000Z", "body": {"model": "gpt-4o"}},
        "response": {"timestamp": "2026-01-01T00:00:01.500Z", "body": {}, "status": 200},
    } | changes


def as_json(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
