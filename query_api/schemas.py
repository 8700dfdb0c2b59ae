"""What is shown, apart from what is stored: a change of the table is not a change of the API.

Times are ISO 8601 with milliseconds and Z. Money is exact decimal text of USD; only the documented list shows it as a
number. null is unknown. `Any` stands for a JSON value that was logged.
"""

from typing import Any, Literal

import msgspec


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, in words."""

    error: str


class _ListedHead(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    createdAt: str
    updatedAt: str
    ip: str
    url: str
    method: str


class RequestItem(_ListedHead, frozen=True, kw_only=True):
    """One call in the documented list, in the types that its clients use."""

    status: int | None
    cached: bool
    streamed: bool
    user_id: str | None
    completion: str | None
    model: str | None
    openai_id: str
    prompt_tokens: int | None
    completion_tokens: int | None
    request_body: Any
    response_body: Any
    streamed_response_body: str | None
    cost: float | None


class DocumentedRequestItem(_ListedHead, frozen=True, kw_only=True):
    """The same with the types of the published document: status and bodies as text."""

    status: str | None
    cached: bool
    streamed: bool
    user_id: str | None
    completion: str | None
    model: str | None
    openai_id: str
    prompt_tokens: int | None
    completion_tokens: int | None
    request_body: str | None
    response_body: str | None
    streamed_response_body: str | None
    cost: float | None


class RequestList(msgspec.Struct, frozen=True):
    """A page of the documented list; `totalCount` counts all pages."""

    requests: list[RequestItem]
    totalCount: int


class DocumentedRequestList(msgspec.Struct, frozen=True):
    """A page with `types=documented`."""

    requests: list[DocumentedRequestItem]
    totalCount: int


class _LogFields(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project: str
    source: str
    created_at: str
    ingested_at: str
    updated_at: str
    requested_at: str
    received_at: str | None
    duration_ms: float | None
    ttft_ms: int | None
    provider: str | None
    model_requested: str | None
    model_served: str | None
    status_code: int | None
    is_error: bool
    error: str | None
    streamed: bool
    cached: bool
    finish_reason: str | None
    service_tier: str | None
    provider_response_id: str | None
    user_id: str | None
    session_id: str | None
    trace_id: str | None
    environment: str | None
    description: str | None
    metadata: dict[str, str]
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    cost_provided: str | None
    cost_computed: str | None
    cost: str | None
    cost_status: str
    cost_reason: str | None
    price_version: str | None
    http_url: str | None
    http_method: str | None
    http_ip: str | None


class RequestLogRow(_LogFields, frozen=True, kw_only=True):
    """One call in our own list: no bodies, but the beginning of the texts.

    `found_in` is there when texts were looked for: `prompt`, `completion`, whichever of them hold one.
    """

    prompt_preview: str | None
    completion_preview: str | None
    found_in: list[str] | msgspec.UnsetType = msgspec.UNSET


class RequestLogEntry(_LogFields, frozen=True, kw_only=True):
    """One call with all that is stored of it. Raw texts are as they came."""

    prompt: str | None
    completion: str | None
    raw_request: str | None
    raw_response: str | None
    raw_stream: str | None
    request_headers: str | None
    response_headers: str | None
    media: list[dict[str, Any]]
    extra: Any


class RequestLogPage(msgspec.Struct, frozen=True):
    """A page of our own list, newest first; `next_cursor` is null on the last one."""

    data: list[RequestLogRow]
    next_cursor: str | None


class PositionStatus(msgspec.Struct, frozen=True):
    """What became of the record at a position of the bus."""

    position: str
    status: Literal["waiting", "visible", "dead_letter"]


class Liveness(msgspec.Struct, frozen=True):
    """The service runs."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether the service can answer, and what each thing it needs says."""

    status: str
    checks: dict[str, str]


class Version(msgspec.Struct, frozen=True):
    """What runs here."""

    service: str
    version: str
