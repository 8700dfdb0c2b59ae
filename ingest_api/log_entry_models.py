"""The bodies of the log-entry family as pydantic models, and what is wrong with one as `field must be …`.

Payloads stand in for themselves by an empty value of their type, so that no model ever holds one.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StrictStr, ValidationError, WithJsonSchema

from ingest_api.json_object import JsonObject


def _given_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _given_text(value)


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise ValueError(value)


GivenText = Annotated[str, PlainValidator(_given_text), WithJsonSchema({"type": "string", "minLength": 1})]
TextOrNone = Annotated[
    str | None, PlainValidator(_text_or_none), WithJsonSchema({"type": ["string", "null"], "minLength": 1})
]
Number = Annotated[float | None, PlainValidator(_number), WithJsonSchema({"type": ["number", "null"], "minimum": 0})]
Object = dict[str, Any] | None


class Image(JsonObject):
    """One image: base64, a data URI or an address. Addresses are never fetched."""

    type: Literal["image"]
    title: Any = None
    data: str = Field(description="At most 10 MiB once decoded.")


class Media(JsonObject):
    """The images of both sides of a call."""

    request: list[Image] | None = None
    response: list[Image] | None = None


class _Entry(JsonObject):
    duration: Number = Field(None, description="Processing time in seconds.")
    initiator: StrictStr | None = Field(None, description="Who made the call.")
    description: StrictStr | None = None
    request_data: Object = Field(None, description="The request as it was sent. Kept as it came.")
    response_data: Object = Field(None, description="The reply as it was received. Kept as it came.")
    metadata: Object = Field(None, description="Any values by name.")
    cost: Number = Field(None, description="In USD.")
    media: Media | None = None


class LogEntry(_Entry):
    """A logged call."""

    model: GivenText


class LogEntryChanges(_Entry):
    """Each given field replaces the stored one; null leaves it."""

    model: TextOrNone = None


class LogUpdate(JsonObject):
    """An update of one entry."""

    id: GivenText
    update_data: LogEntryChanges


_RULES = {
    "id": "must be a non-empty string",
    "update_data": "must be an object",
    "model": "must be a non-empty string",
    "duration": "must be a number",
    "initiator": "must be a string",
    "description": "must be a string",
    "request_data": "must be an object",
    "response_data": "must be an object",
    "metadata": "must be an object",
    "cost": "must be a number",
    "media": "must be an object",
}


def sentences_of(error: ValidationError) -> list[str]:
    """Each wrong field, by its own name."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{detail['loc'][-1]} {_RULES[str(detail['loc'][-1])]}" for detail in details]
