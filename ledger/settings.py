"""The shared sections of the settings. Each service puts those it needs into one frozen object of its own.

Values come from a mapping that is handed in (`os.environ` is read once, by the command line), under
`LLMLEDGER_<SECTION>__<NAME>`. A wrong value stops the process with the variable's name in the message.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ledger.errors import Misconfigured

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The largest report that is accepted, counted after inflating."""

MAX_MESSAGE_BYTES = 36 * 1024 * 1024
"""The largest record that may stand on the bus: a body of the largest size, its envelope and the protocol's bytes."""


@dataclass(frozen=True, slots=True)
class KafkaSection:
    """`LLMLEDGER_KAFKA__…`: where the bus of the cluster is and how to talk to it."""

    bootstrap_servers: str
    topic: str = "llm.requests.v1"
    group: str = "llmledger-workers"
    partitions: int = 12
    replication_factor: int = 1
    generation: int = 1  # raised when the topic is made anew with another number of partitions
    deadline_seconds: float = 5.0  # a publish that is not confirmed by then is answered 503
    max_record_bytes: int = 900_000  # of a record that goes through the brokers; the body of a larger one goes beside
    session_seconds: float = 45.0  # a worker that is silent for so long loses its partitions to the others
    stuck_seconds: float = 600.0  # a worker that has got nothing from Kafka for so long, though there is more, ends
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

    max_rows: int = 5000  # of one insert; a worker that is behind takes several times as many from the bus
    max_bytes: int = 64 * 1024 * 1024
    max_age_seconds: float = 0.3


@dataclass(frozen=True, slots=True)
class QueryCaps:
    """`LLMLEDGER_QUERY__…`: what one question may take. Beyond it: 422 with advice, never a shorter list."""

    max_seconds: int = 20  # all statements of one request together; of one page, where an answer is sent page by page
    max_memory_bytes: int = 2 * 1024**3  # one statement
    max_rows: int = 1_000_000  # that one statement hands over
    max_answer_bytes: int = 256 * 1024**2  # bodies of one answer, together; and what one statement hands over
    max_waiting: int = 64  # statements of one project that wait for their turn; beyond it: 429


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


@dataclass(frozen=True, slots=True)
class RetentionSection:
    """`LLMLEDGER_RETENTION__…`: what the standalone keeps. A cluster keeps everything until something is set."""

    days: int | None = 3650  # until `llmledger retention set` says otherwise; so that what is dated back is kept too
    max_gb: float | None = None  # of the tables of calls (10^9 bytes); None: half of the disk


PREFIX = "LLMLEDGER_"

S = TypeVar("S")

_LEAST = {
    "LLMLEDGER_SERVER__PORT": 0,  # any free one
    "LLMLEDGER_KAFKA__MAX_RECORD_BYTES": 128 * 1024,  # an envelope and a deletion's filter have to fit
    "LLMLEDGER_KAFKA__SESSION_SECONDS": 1,  # brokers refuse less than 6, unless told otherwise
}
_MOST = 2**40

FOREVER = "forever"


def _days(text: str) -> int | None:
    return None if text.strip().lower() == FOREVER else int(text)


_CONVERSIONS: Mapping[Any, Callable[[str], object]] = {
    int: int,
    float: float,
    Path: Path,
    int | None: _days,
    float | None: float,
}


def read_section(section: type[S], name: str, values: Mapping[str, str], **defaults: object) -> S:
    """The section from `LLMLEDGER_<NAME>__<FIELD>` variables; `defaults` replace those of the class.

    Raises `Misconfigured` with the variable's name when one is missing or has the wrong form.
    """
    types = get_type_hints(section)
    given = dict(defaults)
    for entry in fields(section):  # type: ignore[arg-type]
        variable = variable_name(name, entry.name)
        text = values.get(variable)
        if text is not None:
            given[entry.name] = _parsed(text, types[entry.name], variable)
        elif entry.name not in given and entry.default is MISSING:
            raise Misconfigured(f"{variable} is not set.")
    return section(**given)


def variable_name(section: str, field_name: str) -> str:
    """The environment variable of a section's field."""
    return f"{PREFIX}{section}__{field_name}".upper()


def _parsed(text: str, type_: Any, variable: str) -> object:
    try:
        value = _CONVERSIONS.get(type_, str)(text)
    except ValueError:
        raise Misconfigured(f"{variable} must be a number, not {text[:40]!r}.") from None
    least = _LEAST.get(variable, 1e-3)
    if isinstance(value, int | float) and not least <= value <= _MOST:
        bound = f"at least {least}" if least >= 1 else "above 0"
        raise Misconfigured(f"{variable} must be {bound} and at most {_MOST:.0f}, not {text[:40]!r}.")
    return value


SECTIONS: Mapping[str, type] = {
    "KAFKA": KafkaSection,
    "STORE": StoreSection,
    "BATCH": BatchSection,
    "KEYS": KeysSection,
    "QUERY": QueryCaps,
    "BLOBS": BlobsSection,
    "SERVER": ServerSection,
    "RETENTION": RetentionSection,
}
"""Every section that is read from variables, by the name in them."""

SECRETS = frozenset({variable_name("KAFKA", "sasl_password"), variable_name("STORE", "dsn"), f"{PREFIX}API_KEY"})
"""Variables whose values are never shown, and that may be given as `<NAME>_FILE`."""

OTHER_VARIABLES = frozenset(
    {f"{PREFIX}{name}" for name in ("DATA", "LOG_FORMAT", "LOG_LEVEL", "URL", "API_KEY", "FAILPOINTS")}
)


def known_variables() -> frozenset[str]:
    """Every variable that LLM Ledger reads."""
    named = {variable_name(name, entry.name) for name, section in SECTIONS.items() for entry in fields(section)}
    return frozenset(named | OTHER_VARIABLES | {f"{name}_FILE" for name in SECRETS})
