"""Which parts the workers are made of, both ways to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.blobs import BlobStore
from ledger.blobs.obstore import ObstoreBlobs
from ledger.clock import system_clock
from ledger.settings import BatchSection, BlobsSection, KafkaSection, StoreSection
from ledger.store import RequestLogStore
from ledger.store.clickhouse import ClickHousePool
from workers.drivers.dead_letters import TableQuarantine
from workers.quarantining import Quarantine
from workers.settings import WorkerSettings
from workers.wiring import cluster_deps, standalone_deps


@pytest.fixture
def pool() -> Iterator[ClickHousePool]:
    """Over a store that is never reached."""
    pool = ClickHousePool("http://127.0.0.1:1/nowhere", threads=1)
    yield pool
    pool.close()


def test_in_the_cluster_rows_and_dead_letters_go_to_the_store(pool: ClickHousePool, tmp_path: Path) -> None:
    deps = cluster_deps(pool, ObstoreBlobs(tmp_path.as_uri()), "llm.requests.v1")
    assert isinstance(deps.store, RequestLogStore)
    assert isinstance(deps.blobs, BlobStore)
    assert isinstance(deps.quarantine, TableQuarantine)
    assert isinstance(deps.quarantine, Quarantine)


def test_standalone_dead_letters_go_to_the_store(pool: ClickHousePool, tmp_path: Path) -> None:
    deps = standalone_deps(pool, tmp_path.as_uri(), system_clock)
    assert isinstance(deps.store, RequestLogStore)
    assert isinstance(deps.quarantine, TableQuarantine)


def test_the_workers_know_no_keys_and_have_a_port_of_their_own() -> None:
    settings = WorkerSettings(KafkaSection("k"), StoreSection("http://u:hush@h/d"), BlobsSection("memory:///"))
    assert (settings.batch, settings.server.port) == (BatchSection(), 8003)
    assert not hasattr(settings, "keys")
    assert "hush" not in repr(settings)
