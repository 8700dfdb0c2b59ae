"""What a reader of the tail asks for: its parameters, their rules, and their form in the API document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Parameter, Schema

from ledger.clock import Clock
from query_api.conditions import Conditions
from query_api.errors import BadParameter
from query_api.parameters import Given, conditions_of
from query_api.tail.positions import Seen, decode

DEFAULT_RATE, MOST_RATE = 50, 500
MOST_SECONDS = 86_400

_DIGITS = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """One tail."""

    conditions: Conditions  # without bounds in time
    rate: int  # rows per second at most
    since: int | None  # begin with the calls that were created since then, in milliseconds since 1970
    resume: Seen | None  # begin where this ends; then `since` is what it was
    seconds: int | None  # end by itself after that


def asked(parameters: Given, header: str | None, clock: Clock) -> Asked:
    """What these ask for; the header counts before the parameter. Raises `BadParameter`, `BadFilter`."""
    if parameters.get("to"):
        raise BadParameter("to", "does not go with a tail, which has no end: list with from and to instead")
    conditions = conditions_of(parameters, clock)
    text = header or parameters.get("last_event_id") or None
    return Asked(
        conditions=replace(conditions, created_from=None, created_before=None),
        rate=_integer(parameters, "rate", (1, MOST_RATE)) or DEFAULT_RATE,
        since=conditions.created_from,
        resume=decode(text) if text else None,
        seconds=_integer(parameters, "seconds", (0, MOST_SECONDS)),
    )


def _integer(parameters: Given, name: str, allowed: tuple[int, int]) -> int | None:
    text = parameters.get(name)
    if not text:
        return None
    least, most = allowed
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise BadParameter(name, f"must be a whole number from {least} to {most}")
    return int(text)


def _count(least: int, most: int, default: int | None = None) -> Schema:
    return Schema(type=OpenAPIType.INTEGER, minimum=least, maximum=most, default=default)


_TEXT = Schema(type=OpenAPIType.STRING)
_PARAMETERS: Mapping[str, tuple[Schema, str]] = {
    "q": (_TEXT, "The search language, as in the list."),
    "user_id": (_TEXT, "The end user, exactly."),
    "search": (_TEXT, "Text anywhere in prompt, completion or the provider's id, in any letter case."),
    "filter": (_TEXT, "JSON: a group of rules {combinator, rules, not}, or an object of column: value."),
    "from": (_TEXT, "Begin with the calls since then, of those accepted in the last day: ISO 8601 or like now-1h."),
    "rate": (_count(1, MOST_RATE, DEFAULT_RATE), "Rows per second at most; what is left out is said."),
    "seconds": (_count(0, MOST_SECONDS), "End by itself after so many seconds; not before it is closed, if not given."),
    "last_event_id": (_TEXT, "Resume after this event, where the header cannot be set."),
}


@dataclass
class TailOperation(Operation):
    """The tail's operation: its handler reads the query string itself, and answers a stream of events."""

    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(name=name, param_in="query", schema=schema, description=description, required=False)
            for name, (schema, description) in _PARAMETERS.items()
        ]
        self.parameters.append(
            Parameter(
                name="Last-Event-ID", param_in="header", schema=_TEXT, description="Resume after it.", required=False
            )
        )
        content = {"text/event-stream": OpenAPIMediaType(schema=_TEXT)}
        stream = OpenAPIResponse(description="Events: ready, request, skipped, waiting, error.", content=content)
        self.responses = {**(self.responses or {}), "200": stream}
