"""Why something was not accepted, in one plain shape: of an item as of a whole request.

`retry` is the truth that a client acts on: whether the same bytes can be accepted later.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from ledger.errors import LedgerError, Unavailable

CODES = {
    400: "invalid",
    401: "unknown_key",
    403: "missing_scope",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_encoding",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
"""By HTTP status: an item's problem has the code of the status that it would have got alone."""

MAX_ISSUES = 10
"""So many are told of one item: an answer must not become larger than what it answers."""

_MAX_MESSAGE = 300  # characters; the sender's own words may be in it
_MAX_NAME = 100


class Issue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with an item's body."""

    message: str
    path: list[str | int] | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something was not accepted. `retry`: the same bytes may be accepted later."""

    code: str
    message: str
    retry: bool
    issues: list[Issue] | None = None


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item: `id` and `position` when it is durable, else `error`."""

    index: int
    id: str | None = None
    position: str | None = None
    error: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """What became of each item, in the order of the items."""

    results: list[ItemResult]


class BatchRefusal(msgspec.Struct, frozen=True):
    """Nothing of the batch was looked at, or nothing is known of it."""

    error: Problem


class NotAllConfirmed(Unavailable):
    """Some items are not confirmed: send them again."""

    def __init__(self, results: Sequence[ItemResult]) -> None:
        super().__init__()
        self.results = results


def problem_of(status: int, error: Exception, problems: Sequence[Any] = ()) -> Problem:
    """The error in this shape. `problems`: zod issues or sentences, whichever the body's own API has for them."""
    code = CODES.get(status, CODES[500] if status >= 500 else CODES[400])
    issues = [_issue(problem) for problem in problems[:MAX_ISSUES]]
    message = issues[0].message if len(issues) == 1 else _message(status, error)
    return Problem(code, message[:_MAX_MESSAGE], status >= 500 or status in {408, 429}, issues or None)


def _issue(problem: Any) -> Issue:
    if isinstance(problem, str):
        return Issue(problem[:_MAX_MESSAGE])
    path = [part[:_MAX_NAME] if isinstance(part, str) else part for part in problem["path"]]
    if not path:
        return Issue(problem["message"])
    return Issue(f"{'.'.join(map(str, path))}: {problem['message']}"[:_MAX_MESSAGE], path)


def _message(status: int, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The JSON is nested too deeply."
    if isinstance(error, HTTPException):
        return error.detail
    return str(error) if isinstance(error, LedgerError) and status != 500 else "Internal server error"
