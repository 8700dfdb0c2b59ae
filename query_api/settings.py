"""The settings of the query service: which sections it needs, and how much one question may cost."""

from dataclasses import dataclass, field

from ledger.settings import BlobsSection, KafkaSection, KeysSection, QueryCaps, ServerSection, StoreSection


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """All that the query service is told at its start."""

    store: StoreSection
    keys: KeysSection
    blobs: BlobsSection
    server: ServerSection = field(default_factory=lambda: ServerSection(port=8002))
    caps: QueryCaps = field(default_factory=QueryCaps)
    bus: KafkaSection | None = None  # where events of admin requests go; without it those are answered 503
    bus_hours: int = 24  # how long the bus keeps a report
    threads: int = 4  # statements that run at the same time; further ones wait
    readiness_seconds: float = 1.5  # a store that has not answered by then counts as away
