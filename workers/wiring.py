"""Settings → Deps: the only place where the workers choose their parts."""

from importlib.metadata import version

from ledger.blobs.obstore import ObstoreBlobs
from ledger.clock import Clock, system_clock
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from workers.drivers.dead_letters import TableQuarantine
from workers.pipeline import Deps
from workers.pricing import Pricing
from workers.quarantining import Quarantine

CODE_VERSION = "llmledger " + version("llmledger")


def cluster_deps(pool: ClickHousePool, blobs: ObstoreBlobs, topic: str, clock: Clock = system_clock) -> Deps:
    """Rows and dead letters to ClickHouse; dead letters say that they were read from this topic, claims are fetched."""
    deps = _deps(pool, blobs, TableQuarantine(pool, clock, CODE_VERSION, topic))
    deps.claims = blobs
    return deps


def standalone_deps(pool: ClickHousePool, blobs_url: str, clock: Clock) -> Deps:
    """Rows and dead letters to the embedded engine."""
    return _deps(pool, ObstoreBlobs(blobs_url), TableQuarantine(pool, clock, CODE_VERSION))


def _deps(pool: ClickHousePool, blobs: ObstoreBlobs, quarantine: Quarantine) -> Deps:
    return Deps(store=ClickHouseStore(pool), blobs=blobs, quarantine=quarantine, price=Pricing().price)
