"""The shared sections of the settings. Each service puts those it needs into one frozen object of its own.

Values come from a mapping that is handed in (`os.environ` is read once, by the command line), under
`LLMLEDGER_<SECTION>__<NAME>`. A wrong value stops the process with the variable's name in the message.
"""

from dataclasses import dataclass, field
from pathlib import Path

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The largest report that is accepted, counted after inflating."""

MAX_MESSAGE_BYTES = 36 * 1024 * 1024
"""The largest record on the bus: a body of the largest size, its envelope and the protocol's own bytes."""


@dataclass(frozen=True, slots=True)
class KafkaSection:
    """`LLMLEDGER_KAFKA__…`: where the bus of the cluster is and how to talk to it."""

    bootstrap_servers: str
    topic: str = "llm.requests.v1"
    dead_letter_topic: str = "llm.requests.v1.dead-letters"
    group: str = "llmledger-workers"
    partitions: int = 12
    replication_factor: int = 1
    generation: int = 1  # raised when the topic is made anew with another number of partitions
    deadline_seconds: float = 5.0  # a publish that is not confirmed by then is answered 503
    security_protocol: str = "PLAINTEXT"  # or SSL, SASL_PLAINTEXT, SASL_SSL
    sasl_mechanism: str = "PLAIN"  # or SCRAM-SHA-256, SCRAM-SHA-512
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class SqliteLogSection:
    """The bus of the standalone mode: one file."""

    path: Path
    deadline_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class StoreSection:
    """`LLMLEDGER_STORE__…`: one DSN says where the store is and of which kind."""

    dsn: str = field(repr=False)  # http://user:password@host:8123/database, https://… or chdb:///folder


@dataclass(frozen=True, slots=True)
class BatchSection:
    """`LLMLEDGER_BATCH__…`: when a batch is worth an insert."""

    max_rows: int = 5000
    max_bytes: int = 64 * 1024 * 1024
    max_age_seconds: float = 0.3


@dataclass(frozen=True, slots=True)
class KeysSection:
    """`LLMLEDGER_KEYS__FILE`: the file of hashed API keys."""

    file: Path


@dataclass(frozen=True, slots=True)
class BlobsSection:
    """`LLMLEDGER_BLOBS__URL`: where media are kept; `file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`."""

    url: str


@dataclass(frozen=True, slots=True)
class ServerSection:
    """`LLMLEDGER_SERVER__…`: where an HTTP service listens."""

    host: str = "127.0.0.1"
    port: int = 8000
