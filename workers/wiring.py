"""Settings → Deps: the only place where the workers choose their parts."""

from importlib.metadata import version

from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Publisher
from ledger.clock import Clock
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from workers.drivers.dead_letters import TableQuarantine, TopicQuarantine
from workers.pipeline import Deps
from workers.pricing import Pricing

CODE_VERSION = "llmledger " + version("llmledger")


def cluster_deps(pool: ClickHousePool, blobs_url: str, dead_letters: Publisher) -> Deps:
    """Rows to ClickHouse, dead letters to their topic."""
    quarantine = TopicQuarantine(dead_letters, CODE_VERSION)
    return Deps(
        store=ClickHouseStore(pool), blobs=ObstoreBlobs(blobs_url), quarantine=quarantine, price=Pricing().price
    )


def standalone_deps(pool: ClickHousePool, blobs_url: str, clock: Clock) -> Deps:
    """Rows and dead letters to the embedded engine."""
    quarantine = TableQuarantine(pool, clock, CODE_VERSION)
    return Deps(
        store=ClickHouseStore(pool), blobs=ObstoreBlobs(blobs_url), quarantine=quarantine, price=Pricing().price
    )
