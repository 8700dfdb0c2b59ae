"""What the OpenAPI document says of the endpoints. The handlers read raw bytes, so their bodies are described here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Response, Router
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
)
from pydantic import BaseModel

from ingest_api.answers import LogEntryError, OpenPipeError, PezzoError


@dataclass(frozen=True, slots=True)
class FamilyDocs:
    """What all endpoints of a family have in common."""

    tag: str
    security: dict[str, list[str]]
    error: type[Any]


OPENPIPE = FamilyDocs("OpenPipe", {"authorization": []}, OpenPipeError)
PEZZO = FamilyDocs("Pezzo", {"pezzoProject": [], "pezzoKey": []}, PezzoError)
LOG_ENTRIES = FamilyDocs("Log entries", {"apiKey": []}, LogEntryError)

_ERRORS = {
    400: "The body cannot be read, or some of its fields are not what they must be.",
    401: "The key is missing, unknown or not allowed to do this.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The content encoding is not supported: use gzip, zstd or none.",
    503: "Not confirmed: it may or may not be stored. Retry with the same Idempotency-Key.",
}

IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    param_in="header",
    description="The same key is the same event: a retry within 30 days stores nothing twice. 1 to 255 characters.",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=255),
)
_POSITION = ResponseHeader(
    name="LLMLedger-Position",
    description="Where the event is on the bus: generation-partition-offset.",
    documentation_only=True,
)
_LOG_ID = ResponseHeader(name="LLMLedger-Log-Id", description="The id of the new record.", documentation_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDocs:
    """What is particular to one endpoint."""

    summary: str
    body: type[BaseModel]
    body_required: bool = True
    stores: bool = True
    tells_log_id: bool = False
    deprecated: bool = False
    also: Mapping[int, str] = field(default_factory=dict)  # further error statuses


def documented(family: FamilyDocs, endpoint: EndpointDocs) -> dict[str, Any]:
    """The arguments of a route decorator that describe the endpoint."""
    errors = {**_ERRORS, **endpoint.also}
    headers = [_POSITION] if endpoint.stores else []
    return {
        "summary": endpoint.summary,
        "tags": [family.tag],
        "security": [family.security],
        "deprecated": endpoint.deprecated,
        "operation_class": _operation(endpoint),
        "response_headers": [*headers, _LOG_ID] if endpoint.tells_log_id else headers,
        "response_description": "Accepted: durable on the bus." if endpoint.stores else "Answered.",
        "responses": {
            status: ResponseSpec(family.error, generate_examples=False, description=text)
            for status, text in sorted(errors.items())
        },
    }


def _as_an_error(response: Response[Any]) -> Response[Any]:
    """What is not below the document's path is answered as it is everywhere, not by an HTML page."""
    if response.status_code == 404:
        raise NotFoundException
    return response


def openapi_config(version: str) -> OpenAPIConfig:
    """The document's frame; served at /schema/openapi.json."""
    return OpenAPIConfig(
        title="LLM Ledger: ingest API",
        version=version,
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=_as_an_error),
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],
        components=Components(
            security_schemes={
                "authorization": SecurityScheme(type="http", scheme="Bearer"),
                "pezzoProject": _header_key("x-pezzo-project-id", "The project that the key belongs to."),
                "pezzoKey": _header_key("x-pezzo-api-key", "An API key."),
                "apiKey": _header_key("x-api-key", "An API key."),
            }
        ),
    )


def _header_key(name: str, description: str) -> SecurityScheme:
    return SecurityScheme(type="apiKey", name=name, security_scheme_in="header", description=description)


@dataclass
class InlineSchema(Schema):
    """A JSON schema that is there already."""

    json: dict[str, Any] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        """The schema as it is."""
        return self.json


def _operation(endpoint: EndpointDocs) -> type[Operation]:
    body = RequestBody(
        content={"application/json": OpenAPIMediaType(schema=InlineSchema(json=schema_of(endpoint.body)))},
        required=endpoint.body_required,
        description="May be sent with Content-Encoding gzip or zstd; at most 32 MiB once decoded.",
    )

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = body
            if endpoint.stores:
                self.parameters = [*(self.parameters or []), IDEMPOTENCY_KEY]

    return WithBody


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema in one piece."""
    schema = model.model_json_schema()
    whole: dict[str, Any] = _without_references(schema, schema.pop("$defs", {}))
    return whole


def _without_references(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_without_references(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        named = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**named, **{key: value for key, value in node.items() if key != "$ref"}}
    return {key: _without_references(value, definitions) for key, value in node.items()}
