"""What the OpenAPI document says of batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, RequestBody
from pydantic import BaseModel

from ingest_api.batches.kinds import JUDGES
from ingest_api.batches.problems import BatchAnswer, BatchRefusal
from ingest_api.documentation import IDEMPOTENCY_KEY, InlineSchema, schema_of
from ingest_api.log_entry_models import LogEntry, LogUpdate
from ingest_api.openpipe_models import ReportBody
from ingest_api.pezzo_models import PezzoReport
from ingest_api.settings import IngestSettings
from ledger.report import Kind

_BODIES: Mapping[str, type[BaseModel]] = {
    Kind.OPENPIPE_REPORT.value: ReportBody,
    Kind.OPENPIPE_REPORT_ANTHROPIC.value: ReportBody,
    Kind.PEZZO_REQUEST.value: PezzoReport,
    Kind.LOG_INSERT.value: LogEntry,
    Kind.LOG_UPDATE.value: LogUpdate,
}

_SOME_BAD = "Some items are durable. The others can never be accepted as they are: their errors say why."
_WITH_RESULTS = {207: _SOME_BAD, 422: "No item can be accepted as it is: their errors say why."}
_REFUSALS = {
    400: "The body cannot be inflated, or is neither NDJSON nor a JSON array; or the Idempotency-Key is none.",
    401: "The key is missing or unknown.",
    403: "The key does not have the scope ingest.",
    408: "The body took too long to arrive.",
    413: "The batch has too many bytes or too many items.",
    415: "The content encoding is not supported: use gzip, zstd or none.",
}
_NOT_CONFIRMED = (
    "With `results`: at least one good item is not confirmed; it may or may not be stored. Send the items again whose "
    "error says `retry`, under their keys, or the whole batch under the same Idempotency-Key. With `error`: nothing of "
    "the batch was looked at."
)
_KEY = (
    "Item number i (from 0) that has no `idempotency_key` of its own gets this key with /i behind it, so that a batch "
    "that is sent again whole stores nothing twice. To send fewer items again, give them those keys themselves."
)


def described(settings: IngestSettings) -> dict[str, Any]:
    """The arguments of the route decorator that describe the endpoint."""
    answers: dict[int, tuple[Any, str]] = {status: (BatchAnswer, text) for status, text in _WITH_RESULTS.items()}
    answers |= {status: (BatchRefusal, text) for status, text in _REFUSALS.items()}
    answers[503] = (BatchAnswer | BatchRefusal, _NOT_CONFIRMED)
    return {
        "summary": "Report many calls",
        "tags": ["Batches"],
        "security": [{"authorization": []}, {"apiKey": []}, {"pezzoKey": []}],
        "operation_class": _operation(settings),
        "response_description": "Every item is durable on the bus.",
        "responses": {
            status: ResponseSpec(shape, generate_examples=False, description=text)
            for status, (shape, text) in sorted(answers.items())
        },
    }


def _operation(settings: IngestSettings) -> type[Operation]:
    array = {"type": "array", "maxItems": settings.max_batch_items, "items": {"anyOf": [*map(_item, JUDGES)]}}
    lines = {"type": "string", "description": "One item per line, of the same form as in the array."}
    body = RequestBody(
        content={
            "application/json": OpenAPIMediaType(schema=InlineSchema(json=array)),
            "application/x-ndjson": OpenAPIMediaType(schema=InlineSchema(json=lines)),
        },
        required=True,
        description=(
            f"At most {settings.max_batch_items:,} items and {settings.max_batch_bytes // 1024**2} MiB once decoded; "
            "may be sent with Content-Encoding gzip or zstd. Each item's body as its own API takes it."
        ),
    )

    @dataclass
    class OfBatches(Operation):
        def __post_init__(self) -> None:
            self.request_body = body
            self.parameters = [*(self.parameters or []), _parameter()]

    return OfBatches


def _parameter() -> Parameter:
    schema = IDEMPOTENCY_KEY.schema
    return Parameter(name=IDEMPOTENCY_KEY.name, param_in="header", description=_KEY, schema=schema)


def _item(kind: str) -> dict[str, Any]:
    key = {"type": ["string", "null"], "minLength": 1, "maxLength": 255}
    return {
        "type": "object",
        "properties": {"kind": {"const": kind}, "idempotency_key": key, "body": schema_of(_BODIES[kind])},
        "required": ["kind", "body"],
        "additionalProperties": False,
    }
