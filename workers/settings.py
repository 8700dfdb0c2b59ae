"""The settings of the workers: no keys, so that none can leak from here."""

from dataclasses import dataclass, field

from ledger.settings import BatchSection, BlobsSection, KafkaSection, ServerSection, StoreSection


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Everything that the workers are told from outside."""

    bus: KafkaSection
    store: StoreSection
    blobs: BlobsSection
    batch: BatchSection = field(default_factory=BatchSection)
    server: ServerSection = field(default_factory=lambda: ServerSection(port=8003))  # health only
    threads: int = 2
