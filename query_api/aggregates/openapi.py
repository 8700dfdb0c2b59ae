"""The endpoints of statistics in the API document: their handlers read the query string themselves."""

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema

from query_api.aggregates.asking import DEFAULT_DAYS, MAX_LIMIT
from query_api.aggregates.asking import DEFAULT_LIMIT as LISTED_GROUPS
from query_api.aggregates.facets import DEFAULT_LIMIT as LISTED_VALUES
from query_api.aggregates.groups import COLUMNS, FACET_COLUMNS
from query_api.aggregates.intervals import AUTO, LENGTHS, NONE

_TEXT = Schema(type=OpenAPIType.STRING)


def _parameter(name: str, description: str, schema: Schema = _TEXT) -> Parameter:
    return Parameter(name=name, param_in="query", schema=schema, description=description, required=False)


def _interval(description: str, *words: str, default: str) -> Parameter:
    schema = Schema(type=OpenAPIType.STRING, enum=[*words, *LENGTHS], default=default)
    return _parameter("interval", description, schema)


def _limit(description: str, default: int) -> Parameter:
    schema = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_LIMIT, default=default)
    return _parameter("limit", description, schema)


CONDITIONS = (
    _parameter("q", "Which calls, in the language of the search bar."),
    _parameter("filter", "JSON: a group of rules {combinator, rules, not}, or an object of column: value."),
    _parameter("user_id", "The end user, exactly."),
    _parameter("search", "Text anywhere in prompt, completion or the provider's id, in any letter case."),
    _parameter("from", f"The first instant, ISO 8601 or like now-1h. Without it: {DEFAULT_DAYS} days before `to`."),
    _parameter("to", "The first instant outside. Without it: now."),
)


@dataclass
class StatisticsOperation(Operation):
    """Of `/stats`."""

    def __post_init__(self) -> None:
        names = ", ".join([*COLUMNS, "metadata.NAME"])
        self.parameters = [
            *CONDITIONS,
            _parameter("group_by", f"At most two of {names}, with a comma between them."),
            _interval("The length of a bucket; auto: at most about 120 of them.", NONE, AUTO, default=NONE),
            _limit("Groups that are listed, those with the most calls; the rest is in `other`.", LISTED_GROUPS),
        ]


@dataclass
class HistogramOperation(Operation):
    """Of `/histogram`."""

    def __post_init__(self) -> None:
        self.parameters = [*CONDITIONS, _interval("The length of a bucket.", AUTO, default=AUTO)]


@dataclass
class FacetsOperation(Operation):
    """Of `/facets`."""

    def __post_init__(self) -> None:
        names = ", ".join([*FACET_COLUMNS, "metadata.NAME"])
        self.parameters = [
            *CONDITIONS,
            _parameter("fields", f"Some of {names}, with commas between them."),
            _limit("Values of each field that are listed, those with the most calls.", LISTED_VALUES),
        ]


@dataclass
class UnpricedOperation(Operation):
    """Of `/models/unpriced`."""

    def __post_init__(self) -> None:
        self.parameters = [*CONDITIONS, _limit("Models that are listed.", LISTED_GROUPS)]
