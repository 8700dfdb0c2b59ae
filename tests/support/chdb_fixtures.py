"""chDB for tests: one engine per process (it allows one data folder), one fresh database per test.

Whoever opens clients or pools at these DSNs closes them before the test ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import clickhouse_connect
import pytest

from ledger.store.clickhouse import open_client
from ledger.store.migrations import available, drive, migrate


@pytest.fixture(scope="session")
def chdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of the engine, which runs until the last test is done."""
    dsn = f"chdb://{tmp_path_factory.mktemp('chdb')}"
    client = clickhouse_connect.get_client(dsn=dsn)  # the engine ends with its last client
    try:
        yield dsn
    finally:
        client.close()


@pytest.fixture
def chdb_dsn(chdb_engine: str) -> Iterator[str]:
    """The DSN of a new, empty database."""
    with fresh_database(chdb_engine) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def chdb_schema_dsn(chdb_engine: str) -> Iterator[str]:
    """The DSN of a database with the ledger's tables, shared by the tests of a module."""
    with fresh_database(chdb_engine) as dsn:
        yield with_schema(dsn)


def with_schema(dsn: str) -> str:
    """The same DSN, whose database now has the ledger's tables."""
    client = open_client(dsn)
    try:
        drive(migrate(available()), client)
    finally:
        client.close()
    return dsn


@contextmanager
def fresh_database(engine_dsn: str) -> Iterator[str]:
    """A database of its own, dropped afterwards."""
    name = f"test_{uuid4().hex}"
    client = clickhouse_connect.get_client(dsn=engine_dsn)
    try:
        client.command(f"CREATE DATABASE {name}")
        yield f"{engine_dsn}?database={name}"
        client.command(f"DROP DATABASE {name}")
    finally:
        client.close()
