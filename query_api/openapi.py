"""The API document: what Litestar cannot read off a signature (the list's parameters, the errors, the keys)."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from litestar import Response, Router
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Schema,
    SecurityRequirement,
    SecurityScheme,
)

from query_api.parameters import MAX_LIMIT, MAX_PAGE_SIZE
from query_api.schemas import ErrorBody
from query_api.sorting import SORTS

SECURITY: list[SecurityRequirement] = [{"bearer": []}, {"apiKey": []}]


def _error(description: str) -> ResponseSpec:
    return ResponseSpec(ErrorBody, generate_examples=False, description=description)


READ_ERRORS: Mapping[int, ResponseSpec] = {
    401: _error("No key, an unknown one, or one without the scope query."),
    422: _error("The answer would cost too much; the text says how to narrow it."),
    429: _error("Too many questions of this project are waiting; `Retry-After` says when to come back."),
    503: _error("The store is away; `Retry-After` says when to come back."),
}
LIST_ERRORS: Mapping[int, ResponseSpec] = {
    **READ_ERRORS,
    400: _error("A parameter cannot be understood; the text names it."),
}
ADMIN_ERRORS: Mapping[int, ResponseSpec] = {
    **LIST_ERRORS,
    403: _error("The key may not do this: it needs the scope admin, and some things a key of all projects."),
}
STATUS_ERRORS: Mapping[int, ResponseSpec] = {
    400: _error("A parameter cannot be understood; the text names it."),
    401: _error("No key, or an unknown one."),
    422: _error("The answer would cost too much."),
    429: _error("Too many questions of this project are waiting; `Retry-After` says when to come back."),
    503: _error("The store is away; `Retry-After` says when to come back."),
}
UNCHANGED: Mapping[int, ResponseSpec] = {
    304: ResponseSpec(None, generate_examples=False, description="The caller has it already (`If-None-Match`).")
}
NOT_FOUND: Mapping[int, ResponseSpec] = {404: _error("There is no such thing for this key.")}

_TEXT = Schema(type=OpenAPIType.STRING)


def _words(*words: str, default: str | None = None) -> Schema:
    return Schema(type=OpenAPIType.STRING, enum=list(words), default=default)


def _count(least: int, most: int | None, default: int) -> Schema:
    return Schema(type=OpenAPIType.INTEGER, minimum=least, maximum=most, default=default)


def _parameter(name: str, schema: Schema, description: str) -> Parameter:
    return Parameter(name=name, param_in="query", schema=schema, description=description, required=False)


LIST_PARAMETERS = (
    _parameter("user_id", _TEXT, "The end user, exactly."),
    _parameter("search", _TEXT, "Text anywhere in prompt, completion or the provider's id, in any letter case."),
    _parameter("q", _TEXT, 'The search language, like model:gpt-4o status:>=400 "free text".'),
    _parameter("filter", _TEXT, "JSON: a group of rules {combinator, rules, not}, or an object of column: value."),
    _parameter("sortBy", _words(*SORTS, default="createdAt"), "Documented form. Unknown values come last."),
    _parameter("sortOrder", _words("asc", "desc", default="desc"), "Documented form, any letter case."),
    _parameter("pageSize", _count(0, MAX_PAGE_SIZE, 10), "Documented form."),
    _parameter("pageNumber", _count(1, None, 1), "Documented form."),
    _parameter("types", _words("real", "documented", default="real"), "documented: status and bodies as text."),
    _parameter("view", _words("full"), "full: our own form, newest first, every field but the bodies."),
    _parameter("cursor", _TEXT, "Our own form: `next_cursor` of the page before; may be empty."),
    _parameter("limit", _count(1, MAX_LIMIT, 50), "Our own form: rows of a page."),
    _parameter("from", _TEXT, "Our own form: the first instant, ISO 8601 or like now-1h."),
    _parameter("to", _TEXT, "Our own form: the first instant outside."),
)


@dataclass
class ListOperation(Operation):
    """The list's operation: its handler reads the query string itself, so its parameters are named here."""

    def __post_init__(self) -> None:
        self.parameters = list(LIST_PARAMETERS)
        for answer in (self.responses or {}).values():
            for media in (answer.content or {}).values() if isinstance(answer, OpenAPIResponse) else ():
                if isinstance(media.schema, Schema) and media.schema.one_of:  # an empty list is of two forms at once
                    media.schema = Schema(any_of=media.schema.one_of)


@dataclass
class PathOperation(Operation):
    """An operation whose only parameter is in its path: what cannot be one is not found, never invalid."""

    def __post_init__(self) -> None:
        self.responses = {status: answer for status, answer in (self.responses or {}).items() if status != "400"}


def _as_an_error(response: Response[Any]) -> Response[Any]:
    """What is not below the document's path is answered as it is everywhere, not by an HTML page."""
    if response.status_code == 404:
        raise NotFoundException
    return response


def config() -> OpenAPIConfig:
    """The document at `/schema`, as JSON and YAML; no page that would load scripts from elsewhere."""
    schemes: dict[str, Any] = {
        "bearer": SecurityScheme(type="http", scheme="bearer", description="Bearer, or the key alone."),
        "apiKey": SecurityScheme(type="apiKey", name="x-api-key", security_scheme_in="header"),
    }
    return OpenAPIConfig(
        title="LLM Ledger: reading",
        version=version("llmledger"),
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=_as_an_error),
        render_plugins=[JsonRenderPlugin(path=["/openapi.json", "/"]), YamlRenderPlugin()],
        components=Components(security_schemes=schemes),
    )
