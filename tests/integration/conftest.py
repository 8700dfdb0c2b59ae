"""A query service over the embedded engine, shared by the tests of a module and empty for each of them."""

from collections.abc import Iterator

import pytest

from tests.support.query_service import QueryService, query_service


@pytest.fixture(scope="module")
def shared(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    """The service, for as long as the module's tests run."""
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture
async def service(shared: QueryService) -> QueryService:
    """The service over empty tables and without blobs."""
    await shared.clear()
    shared.blobs.stored.clear()
    return shared
