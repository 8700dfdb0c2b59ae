"""Which parts the workers are made of, both ways to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.blobs import BlobStore
from ledger.bus.memory import MemoryBus
from ledger.clock import system_clock
from ledger.settings import BatchSection, BlobsSection, KafkaSection, StoreSection
from ledger.store import RequestLogStore
from ledger.store.clickhouse import ClickHousePool
from tests.support.events import a_delivery
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine
from workers.quarantining import Quarantine
from workers.settings import WorkerSettings
from workers.wiring import CODE_VERSION, cluster_deps, standalone_deps


@pytest.fixture
def pool() -> Iterator[ClickHousePool]:
    """Over a store that is never reached."""
    pool = ClickHousePool("http://127.0.0.1:1/nowhere", threads=1)
    yield pool
    pool.close()


async def test_in_the_cluster_dead_letters_go_to_their_topic(pool: ClickHousePool, tmp_path: Path) -> None:
    bus = MemoryBus()
    deps = cluster_deps(pool, tmp_path.as_uri(), bus)
    assert isinstance(deps.store, RequestLogStore)
    assert isinstance(deps.blobs, BlobStore)
    assert isinstance(deps.quarantine, Quarantine)
    await deps.quarantine.put([Rejected(a_delivery(), RejectCode.BODY_INVALID, "why")])
    (record,) = bus.records
    assert CODE_VERSION.encode() in record.headers[0][1]


def test_standalone_dead_letters_go_to_the_store(pool: ClickHousePool, tmp_path: Path) -> None:
    deps = standalone_deps(pool, tmp_path.as_uri(), system_clock)
    assert isinstance(deps.store, RequestLogStore)
    assert isinstance(deps.quarantine, TableQuarantine)


def test_the_workers_know_no_keys_and_have_a_port_of_their_own() -> None:
    settings = WorkerSettings(KafkaSection("k"), StoreSection("http://u:hush@h/d"), BlobsSection("memory:///"))
    assert (settings.batch, settings.server.port) == (BatchSection(), 8003)
    assert not hasattr(settings, "keys")
    assert "hush" not in repr(settings)
