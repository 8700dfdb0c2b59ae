"""The settings of this service: no store, so that no wrong store address can stop it from accepting."""

from dataclasses import dataclass, field

from ledger.settings import MAX_BODY_BYTES, BlobsSection, KafkaSection, KeysSection, ServerSection, SqliteLogSection


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Everything that `ingest_api` is told from outside."""

    bus: KafkaSection | SqliteLogSection  # exactly one: the mode is a type, not a flag
    keys: KeysSection
    server: ServerSection = field(default_factory=ServerSection)
    blobs: BlobsSection | None = None  # for bodies too large for the bus; None: those are refused
    max_body_bytes: int = MAX_BODY_BYTES  # as it arrives, and once more after inflating
    max_batch_bytes: int = 2 * MAX_BODY_BYTES  # of a batch in the same way; each of its items may have max_body_bytes
    max_batch_items: int = 1000
    max_unauthenticated_body_bytes: int = 1024 * 1024  # a longer one is not read before the key is known
    max_buffered_bytes: int = 8 * MAX_BODY_BYTES  # of all requests under way; beyond it: 503
    body_grace_seconds: float = 10.0  # a body may take this long, and longer while it comes fast enough
    body_bytes_per_second: int = 64 * 1024  # fast enough
    thread_above_bytes: int = 256 * 1024  # larger bodies are checked in a thread, so that the loop stays free
    unready_after_seconds: float = 60.0  # of nothing but refusals by the bus
