"""What the API document says of the export."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Schema,
)

from query_api.export.asking import MAX_LIMIT
from query_api.export.columns import KNOWN
from query_api.export.forms import FORMATS
from query_api.openapi import LIST_ERRORS
from query_api.schemas import ErrorBody

_TEXT = Schema(type=OpenAPIType.STRING)
_FILE = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)

EXPORT_ERRORS: Mapping[int, ResponseSpec] = {
    **LIST_ERRORS,
    429: ResponseSpec(
        ErrorBody,
        generate_examples=False,
        description="Too many exports are under way; `Retry-After` says when to come back.",
    ),
}

_DESCRIPTIONS: Mapping[str, tuple[Schema, str]] = {
    "format": (Schema(type=OpenAPIType.STRING, enum=list(FORMATS), default="csv"), "The format of the file."),
    "q": (_TEXT, "The query language."),
    "filter": (_TEXT, "JSON: a group of rules {combinator, rules, not}, or an object of column: value."),
    "user_id": (_TEXT, "The end user, exactly."),
    "search": (_TEXT, "Text anywhere in prompt, completion or the provider's id, in any letter case."),
    "from": (_TEXT, "The first instant, ISO 8601 or like now-1h."),
    "to": (_TEXT, "The first instant outside."),
    "columns": (_TEXT, f"The columns and their order, with commas between: {', '.join(KNOWN)}."),
    "bodies": (
        Schema(type=OpenAPIType.STRING, enum=["true", "false"], default="false"),
        "Without `columns`: all that is stored of a call.",
    ),
    "cursor": (_TEXT, "Go on after this row: a value of the column `cursor`, or `next_cursor` of the list."),
    "after_id": (_TEXT, "Go on after the row of this id."),
    "limit": (Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_LIMIT), "So many rows at most; all without it."),
}

EXPORT_PARAMETERS = tuple(
    Parameter(name=name, param_in="query", schema=schema, description=description, required=False)
    for name, (schema, description) in _DESCRIPTIONS.items()
)


@dataclass
class ExportOperation(Operation):
    """The export's operation: its handler reads the query string itself, and its answer is a file."""

    def __post_init__(self) -> None:
        self.parameters = list(EXPORT_PARAMETERS)
        disposition = OpenAPIHeader(schema=_TEXT, description="A name for the file.")
        self.responses = {
            **(self.responses or {}),
            "200": OpenAPIResponse(
                description="The rows, newest first. An answer that is cut off is not whole.",
                content={
                    form.media_type.partition(";")[0]: OpenAPIMediaType(schema=_FILE) for form in FORMATS.values()
                },
                headers={"Content-Disposition": disposition},
            ),
        }
