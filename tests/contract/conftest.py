"""The buses that need nothing but this process, and the engines of the store, under their contracts."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.bus import Delivery
from ledger.bus.claims import ClaimingPublisher
from ledger.bus.memory import MemoryBus
from ledger.bus.sqlite_log import SqliteLog
from ledger.settings import MAX_MESSAGE_BYTES
from ledger.store.clickhouse import ClickHousePool
from tests.support.chdb_fixtures import with_schema
from tests.support.claiming import RememberingClaims
from tests.support.publishing import PublishingBus

AnyBus = MemoryBus | SqliteLog
MORE_THAN_ANY_TEST_PUBLISHES = 10_000


@dataclass(slots=True)
class RereadableBus:
    """Publisher and source in one, and how to have it again as after a restart."""

    bus: AnyBus
    reopen: Callable[[AnyBus], AnyBus]
    closed: bool = False

    async def reopened(self) -> AnyBus:
        """The same bus, read from the last commit on."""
        await self.close()
        self.bus, self.closed = self.reopen(self.bus), False
        return self.bus

    async def close(self) -> None:
        """Let go of the bus, once."""
        if not self.closed:
            self.closed = True
            await self.bus.close()


async def everything_in(bus: AnyBus) -> list[Delivery]:
    """All that was published, in order; a poll gives less than it may when the bodies are large."""
    found: list[Delivery] = []
    count = await bus.waiting() if isinstance(bus, SqliteLog) else len(bus.records)
    while len(found) < count:
        found.extend(await bus.poll(MORE_THAN_ANY_TEST_PUBLISHES))
    return found


@pytest.fixture
async def publishing_memory() -> PublishingBus:
    """The bus in memory."""
    bus = MemoryBus()
    await bus.start()

    async def set_away(away: bool) -> None:
        bus.away = away

    return PublishingBus(bus, lambda: everything_in(bus), lambda: set_away(True), lambda: set_away(False))


@pytest.fixture
async def publishing_memory_with_claims() -> PublishingBus:
    """The bus in memory, of which this takes the largest records to be too large; nobody sends one."""
    bus = MemoryBus()
    publisher = ClaimingPublisher(bus, RememberingClaims(), MAX_MESSAGE_BYTES)
    await publisher.start()

    async def set_away(away: bool) -> None:
        bus.away = away

    return PublishingBus(publisher, lambda: everything_in(bus), lambda: set_away(True), lambda: set_away(False))


@pytest.fixture
async def publishing_sqlite_log(tmp_path: Path) -> AsyncIterator[PublishingBus]:
    """The log in one file."""
    log = SqliteLog(tmp_path / "log.sqlite", deadline_seconds=60.0)
    await log.start()
    yield PublishingBus(log, lambda: everything_in(log))
    await log.close()


@pytest.fixture
async def rereadable_memory() -> AsyncIterator[RereadableBus]:
    """The bus in memory."""

    def reopen(bus: AnyBus) -> AnyBus:
        assert isinstance(bus, MemoryBus)
        return bus.reopened()

    reading = RereadableBus(MemoryBus(), reopen)
    yield reading
    await reading.close()


@pytest.fixture
async def rereadable_sqlite_log(tmp_path: Path) -> AsyncIterator[RereadableBus]:
    """The log in one file."""
    path = tmp_path / "log.sqlite"
    reading = RereadableBus(SqliteLog(path), lambda _: SqliteLog(path))
    yield reading
    await reading.close()


ENGINES = ["chdb", pytest.param("clickhouse", marks=pytest.mark.clickhouse)]


@pytest.fixture
def pool_chdb(chdb_dsn: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=2)
    yield pool
    pool.close()


@pytest.fixture
def pool_clickhouse(clickhouse_database: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(with_schema(clickhouse_database), threads=2)
    yield pool
    pool.close()


@pytest.fixture(params=ENGINES)
def pool(request: pytest.FixtureRequest) -> ClickHousePool:
    pool: ClickHousePool = request.getfixturevalue(f"pool_{request.param}")
    return pool
