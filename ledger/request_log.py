"""RequestLog: the normalised, priced fact. One field per column of the store; None is unknown, never 0 or "".

Money is whole pico-USD (10**-12 USD); times are milliseconds since 1970 in UTC; counts of tokens are inclusive (what
was read from a cache is part of the input, reasoning is part of the output).

Rows are msgspec structs since one is made for every report: a frozen dataclass of so many fields takes ten times as
long to make and to change (5 to 9 us). Nothing in a row refers back to it, so the garbage collector need not look at
the thousands that a worker holds.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from ledger.bus import Position
from ledger.ids import ProjectId, RecordId

NOWHERE = Position(0, 0, 0)


class CostStatus(StrEnum):
    """Where the figure in `cost` comes from."""

    PROVIDED = "provided"
    COMPUTED = "computed"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class RowKey:
    """The identity of a row: fixed at acceptance, never changed by an update."""

    project: ProjectId
    created_at: int
    id: RecordId


class Bodies(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The heavy columns of a row: read for one page or one request only."""

    prompt: str | None = None
    completion: str | None = None
    raw_request: str | None = None
    raw_response: str | None = None
    raw_stream: str | None = None
    media: str | None = None  # JSON: list of {side, type, title, kind, …}
    extra: str | None = None  # JSON object: envelope keys that have no column
    request_headers: str | None = None
    response_headers: str | None = None


class RequestLog(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One LLM call as it is stored."""

    # identity and place on the bus
    project: ProjectId
    created_at: int
    id: RecordId
    version: int = 0  # grows with the set of events folded into the row
    is_deleted: bool = False
    position: Position = NOWHERE  # of the highest folded event
    # where and when
    source: str
    ingested_at: int
    updated_at: int
    requested_at: int
    received_at: int | None = None
    duration_ms: float | None = None
    ttft_ms: int | None = None
    # what was called, and how it went
    provider: str | None = None
    model_requested: str | None = None
    model_served: str | None = None
    status_code: int | None = None
    is_error: bool = False
    error: str | None = None
    streamed: bool = False
    cached: bool = False
    finish_reason: str | None = None
    service_tier: str | None = None
    provider_response_id: str | None = None
    # who and why
    user_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    environment: str | None = None
    description: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    # tokens
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    # money, in pico-USD
    cost_provided: int | None = None
    cost_computed: int | None = None
    cost: int | None = None
    cost_status: CostStatus = CostStatus.UNPRICED
    cost_reason: str | None = None
    price_version: str = ""
    # HTTP facts, for reports that carry them
    http_url: str | None = None
    http_method: str | None = None
    http_ip: str | None = None
    # the beginning of the texts, for lists
    prompt_preview: str | None = None
    completion_preview: str | None = None
    media_hashes: tuple[str, ...] = ()  # SHA-256 of the stored blobs that the row names
    bodies: Bodies | None = None  # None: not read

    @property
    def key(self) -> RowKey:
        """The identity of this row."""
        return RowKey(self.project, self.created_at, self.id)


def version_of(highest: Position, events: int) -> int:
    """Generation (8 bits), highest offset (40), number of events (16): grows whenever an event is added."""
    return highest.generation << 56 | highest.offset << 16 | min(events, 0xFFFF)


PREVIEW_CHARACTERS = 200


def preview(text: str | None) -> str | None:
    """The beginning of a text, as lists show it."""
    return None if text is None else text[:PREVIEW_CHARACTERS]
