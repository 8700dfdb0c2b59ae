"""The settings of the query service: which sections it needs, and how much one question may cost."""

from dataclasses import dataclass, field

from ledger.retention import Installation
from ledger.settings import BlobsSection, KafkaSection, KeysSection, QueryCaps, ServerSection, StoreSection


@dataclass(frozen=True, slots=True)
class TailCaps:
    """How much the live tail may take, and how often it looks."""

    of_project: int = 20  # tails open at the same time
    in_all: int = 100
    statements: int = 2  # of all tails, at the same time
    look_seconds: float = 0.5
    heartbeat_seconds: float = 10.0
    key_seconds: float = 5.0  # between two looks whether the key is still valid
    backlog_rows: int = 10_000  # that a resume may bring; of more the newest


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """All that the query service is told at its start."""

    store: StoreSection
    keys: KeysSection
    blobs: BlobsSection
    server: ServerSection = field(default_factory=lambda: ServerSection(port=8002))
    caps: QueryCaps = field(default_factory=QueryCaps)
    tail: TailCaps = field(default_factory=TailCaps)
    bus: KafkaSection | None = None  # where events of admin requests go; without it those are answered 503
    bus_hours: int = 24  # how long the bus keeps a report
    installation: Installation = field(default_factory=Installation)  # what is kept where nothing else was set
    threads: int = 4  # statements that run at the same time; further ones wait
    readiness_seconds: float = 1.5  # a store that has not answered by then counts as away
