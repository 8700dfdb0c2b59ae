"""The bodies of the Pezzo family as pydantic models, and every failed check of one as a sentence.

Payloads stand in for themselves by an empty value of their type, so that no model ever holds one.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictStr,
    WithJsonSchema,
)
from pydantic import ValidationError as PydanticError

from ingest_api.json_object import JsonObject
from ledger.dialects import openpipe, pezzo


def _provider(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in _PROVIDERS:
        raise ValueError(value)
    return value


def _time(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    datetime.fromisoformat(value)
    return value


def _status(value: Any) -> int | None:
    try:
        return openpipe.status_of(value)
    except openpipe.NotANumber as error:
        raise ValueError(value) from error


def _present(value: Any) -> Any:
    if value is None:
        raise ValueError(value)
    return value


_PROVIDERS = frozenset(name.lower() for name in pezzo.PROVIDERS)

Provider = Annotated[str, PlainValidator(_provider), WithJsonSchema({"type": "string", "enum": list(pezzo.PROVIDERS)})]
Time = Annotated[str, PlainValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Status = Annotated[int | None, PlainValidator(_status), WithJsonSchema({"type": ["integer", "string", "null"]})]
Given = Annotated[Any, BeforeValidator(_present)]


class Metadata(JsonObject):
    """Which program made the call, and where it ran."""

    provider: Provider = Field(description="In any letter case.")
    client: StrictStr
    clientVersion: StrictStr
    environment: StrictStr
    promptId: StrictStr | None = None
    promptVersionSha: StrictStr | None = None
    type: StrictStr | None = None


class RequestPart(JsonObject):
    """The request to the provider."""

    timestamp: Time
    body: dict[str, Any] = Field(description="The request as it was sent. Kept as it came.")


class ResponsePart(JsonObject):
    """The provider's reply; without a body when there was none."""

    timestamp: Time
    body: dict[str, Any] | None = Field(None, description="The reply as it was received. Kept as it came.")
    status: Status = Field(None, description="The provider's HTTP status.")


class PezzoReport(JsonObject):
    """A call of a model."""

    metadata: Metadata
    properties: dict[str, Any] | None = None
    request: RequestPart
    response: ResponsePart
    cacheEnabled: StrictBool | None = False
    cacheHit: StrictBool | None = False


class CacheQuestion(JsonObject):
    """A question for a cached reply."""

    request: Given


class CacheEntry(JsonObject):
    """A reply to be cached. It is not kept."""

    request: Given
    response: Any = None


_STRING = "must be a string"
_OBJECT = "must be an object"
_TIME = "must be a valid ISO 8601 date string"
_RULES: dict[tuple[int | str, ...], str] = {
    ("metadata",): _OBJECT,
    ("metadata", "provider"): f"must be one of the following values: {', '.join(pezzo.PROVIDERS)}",
    ("metadata", "client"): _STRING,
    ("metadata", "clientVersion"): _STRING,
    ("metadata", "environment"): _STRING,
    ("metadata", "promptId"): _STRING,
    ("metadata", "promptVersionSha"): _STRING,
    ("metadata", "type"): _STRING,
    ("properties",): _OBJECT,
    ("request",): _OBJECT,
    ("request", "timestamp"): _TIME,
    ("request", "body"): _OBJECT,
    ("response",): _OBJECT,
    ("response", "timestamp"): _TIME,
    ("response", "body"): _OBJECT,
    ("response", "status"): "must be a number",
    ("cacheEnabled",): "must be a boolean value",
    ("cacheHit",): "must be a boolean value",
}


def sentences_of(error: PydanticError) -> list[str]:
    """Each failed check, as `path must be …`."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{'.'.join(map(str, detail['loc']))} {_RULES[detail['loc']]}" for detail in details]
