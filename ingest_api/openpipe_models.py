"""The bodies of the OpenPipe family as pydantic models, and what is wrong with one as zod would say it.

Payloads are checked by nobody: the models name them for the documentation alone.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from ingest_api.json_object import JsonObject
from ledger.dialects import openpipe

MAX_ISSUES = 100
"""So many are told; a body can have more."""

_TAG_TYPES = ("string", "number", "boolean", "null")


def type_name(value: Any) -> str:
    """The JSON type of a value, as JavaScript people call it."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _wrong_type(expected: str, received: str) -> PydanticCustomError:
    context = {"expected": expected, "received": received}
    return PydanticCustomError("invalid_type", "Expected {expected}, received {received}", context)


def _number(value: Any) -> float | None:
    try:
        return openpipe.number_of(value)
    except openpipe.NotANumber:
        raise _wrong_type("number", "nan" if isinstance(value, str) else type_name(value)) from None


def _given_number(value: Any) -> float | None:
    if value is None:
        raise PydanticCustomError("missing", "Required")
    return _number(value)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _wrong_type("string", type_name(value))


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise _wrong_type("object", type_name(value))


def _tag(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise PydanticCustomError("invalid_union", "Invalid input", {"received": type_name(value)})
    return value


_NUMBER_SCHEMA = {"type": ["number", "string", "null"]}
Number = Annotated[float | None, PlainValidator(_number), WithJsonSchema(_NUMBER_SCHEMA)]
GivenNumber = Annotated[float | None, PlainValidator(_given_number), WithJsonSchema({"type": ["number", "string"]})]
Text = Annotated[str | None, PlainValidator(_text), WithJsonSchema({"type": ["string", "null"]})]
Tag = Annotated[Any, PlainValidator(_tag), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]
Tags = Annotated[dict[str, Tag], BeforeValidator(_object)]


class ReportBody(JsonObject):
    """A call of a model. Every field is optional; further keys are accepted and kept."""

    requestedAt: Number = Field(None, description="When the call was made: milliseconds since 1970.")
    receivedAt: Number = Field(None, description="When the reply had come: milliseconds since 1970.")
    reqPayload: Any = Field(None, description="The request to the provider, any JSON. Kept as it came.")
    respPayload: Any = Field(None, description="The provider's reply, any JSON. Kept as it came.")
    statusCode: Number = Field(None, description="The provider's HTTP status.")
    errorMessage: Text = Field(None, description="What went wrong, when the call failed.")
    tags: Tags = Field({}, description="Texts, numbers or booleans by name. null and empty texts are dropped.")
    metadata: Tags = Field({}, description="As `tags`, and laid over them.")


class CheckCacheBody(JsonObject):
    """A question for a cached reply. There is no reply cache, so the answer is always that there is none."""

    requestedAt: GivenNumber = Field(description="When the call is made: milliseconds since 1970.")
    reqPayload: Any = Field(None, description="The request to the provider, any JSON.")
    tags: Any = Field(None, description="Texts by name.")


def issues_of(error: ValidationError) -> list[dict[str, Any]]:
    """Each thing that is wrong, in the form in which zod reports it."""
    return [_issue(detail) for detail in error.errors(include_url=False, include_input=False)[:MAX_ISSUES]]


def not_an_object_issue(received: str) -> dict[str, Any]:
    """The body itself is not an object."""
    return _type_issue("object", received, ())


def custom_issue(name: str, message: str) -> dict[str, Any]:
    """Something is wrong beside the body."""
    return {"code": "custom", "path": [name], "message": message}


def _issue(detail: ErrorDetails) -> dict[str, Any]:
    path, context = detail["loc"], detail.get("ctx", {})
    if detail["type"] == "missing":
        return _type_issue("number", "undefined", path, "Required")
    if detail["type"] == "invalid_union":
        unions = [_type_issue(expected, context["received"], path) for expected in _TAG_TYPES]
        errors = [{"issues": [issue], "name": "ZodError"} for issue in unions]
        return {"code": "invalid_union", "unionErrors": errors, "path": path, "message": detail["msg"]}
    return _type_issue(context["expected"], context["received"], path)


def _type_issue(expected: str, received: str, path: tuple[int | str, ...], message: str = "") -> dict[str, Any]:
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": path,
        "message": message or f"Expected {expected}, received {received}",
    }
