"""The service under test and a client of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.ingest_api.service import IngestService, make_service


@pytest.fixture
def service(tmp_path: Path) -> IngestService:
    """A fresh service with the default settings."""
    return make_service(tmp_path)


@pytest.fixture
async def client(service: IngestService) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    async with service.client() as client:
        yield client
