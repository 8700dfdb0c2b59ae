"""What went wrong → what each family's clients are told: one table of statuses, one shape per family.

Nothing of a traceback and no key gets into an answer.
"""

import logging
import random
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from ingest_api import auth
from ingest_api.batches.problems import NotAllConfirmed, problem_of
from ingest_api.routes import Family, family_of
from ledger.counted_log import CountedLog
from ledger.errors import (
    Invalid,
    LedgerError,
    Misconfigured,
    MissingScope,
    NotFound,
    Refused,
    TooLarge,
    TooLargeForBus,
    Unavailable,
    UnsupportedEncoding,
)
from ledger.keys import KeyRing

log = logging.getLogger("ingest_api")

RETRY_AFTER_SECONDS = (1, 5)  # at random, so that refused clients do not all come back at once
JSON = "application/json"


class TooSlow(LedgerError):
    """The body took too long to arrive."""


class SenderGone(LedgerError):
    """The sender went away before its body was complete."""


class MayNotWrite(MissingScope):
    """The API key may not write: it needs the scope ingest."""


class InvalidFields(Invalid):
    """Some fields of the body are not what they must be."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__()
        self.problems = problems  # zod issues for OpenPipe, sentences for Pezzo


STATUSES: dict[type[Exception], int] = {
    TooLarge: 413,
    UnsupportedEncoding: 415,
    Invalid: 400,
    RecursionError: 400,
    SenderGone: 400,
    MayNotWrite: 403,
    Refused: 401,
    NotFound: 404,
    TooSlow: 408,
    Unavailable: 503,
    Misconfigured: 503,
}

_READ_ONLY = "You are trying to call a write operation with a read-only API key."
_NOT_CONFIRMED = "Not confirmed, retry"
_OPENPIPE: dict[int, tuple[str | None, str]] = {  # None: the error's own text
    400: ("Failed to parse request body", "PARSE_ERROR"),
    401: ("UNAUTHORIZED", "UNAUTHORIZED"),
    404: ("Not found", "NOT_FOUND"),
    408: (None, "TIMEOUT"),
    413: ("Request body is too large", "PAYLOAD_TOO_LARGE"),
    415: (None, "UNSUPPORTED_MEDIA_TYPE"),
    429: ("Too many requests", "TOO_MANY_REQUESTS"),
    503: (_NOT_CONFIRMED, "SERVICE_UNAVAILABLE"),
}
_PEZZO_WITHOUT_ERROR = {413: "request entity too large", 429: "Too Many Requests", 500: "Internal Server Error"}
_LOG_ENTRIES = {
    405: "Method not allowed",
    429: "Too many requests",
    500: "Internal server error",
    503: _NOT_CONFIRMED,
}


def error_handler(keys: KeyRing) -> Callable[[Request[Any, Any, Any], Exception], Response[Any]]:
    """The only exception handler of the app: any error, in the shape of the path's family."""

    not_confirmed = CountedLog(log)

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        family, status = family_of(request.scope["path"]), status_of(error)
        if request.method == "OPTIONS" or (status == 405 and request.method == "HEAD" and family is Family.OPENPIPE):
            return Response(None, status_code=204)
        if status == 405 and family is Family.LOG_ENTRIES:
            error = _before_405(request, keys) or error
            status = status_of(error)
        elif status == 405 and family is not Family.BATCHES:
            status = 404
        if status >= 500:
            _note(error, family, status, not_confirmed)
        return _response(family, status, error, request)

    return answer


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for one that nobody foresaw."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def _before_405(request: Request[Any, Any, Any], keys: KeyRing) -> Exception | None:
    try:
        auth.log_entries_principal(dict(request.scope["headers"]), keys)
    except LedgerError as refusal:
        return refusal
    return None


def _note(error: Exception, family: Family, status: int, not_confirmed: CountedLog) -> None:
    fields: dict[str, str | int] = {
        "action": "request_failed",
        "family": family.value,
        "status": status,
        "error": type(error).__name__,
    }
    if status == 500:
        log.error("Request failed.", extra=fields, exc_info=error)
    else:
        not_confirmed.warning("Requests not confirmed.", fields)


def _response(family: Family, status: int, error: Exception, request: Request[Any, Any, Any]) -> Response[Any]:
    headers = {"Retry-After": str(random.randint(*RETRY_AFTER_SECONDS))} if status in {429, 503} else {}
    if status == 405 and isinstance(error, HTTPException):
        headers = dict(error.headers or {})
    body = msgspec.json.encode(_SHAPES[family](status, error, request))
    return Response(body, status_code=status, headers=headers, media_type=JSON)


def _openpipe_body(status: int, error: Exception, _: Request[Any, Any, Any]) -> dict[str, Any]:
    if isinstance(error, InvalidFields):
        return {"message": "Input validation failed", "code": "BAD_REQUEST", "issues": error.problems}
    if isinstance(error, MissingScope):
        return {"message": _READ_ONLY, "code": "UNAUTHORIZED"}
    text, code = _OPENPIPE.get(status, ("Internal server error", "INTERNAL_SERVER_ERROR"))
    if isinstance(error, TooLargeForBus):
        text = None  # the limit is this installation's own, so it is named
    return {"message": text or str(error), "code": code}


def _pezzo_body(status: int, error: Exception, request: Request[Any, Any, Any]) -> dict[str, Any]:
    if text := _PEZZO_WITHOUT_ERROR.get(status):
        return {"statusCode": status, "message": str(error) if isinstance(error, TooLargeForBus) else text}
    message: Any = error.problems if isinstance(error, InvalidFields) else _text(error)
    if status == 404:
        message = f"Cannot {request.method} {request.scope['path']}"
    if status == 503:
        message = _NOT_CONFIRMED
    return {"statusCode": status, "message": message, "error": HTTPStatus(status).phrase}


def _log_entry_body(status: int, error: Exception, _: Request[Any, Any, Any]) -> dict[str, Any]:
    if text := _LOG_ENTRIES.get(status):
        return {"error": text}
    if isinstance(error, InvalidFields):
        return {"error": "; ".join(error.problems)}
    if status == 404 and not isinstance(error, NotFound):
        return {"error": "Not found"}
    return {"error": _text(error)}


def _batch_body(status: int, error: Exception, _: Request[Any, Any, Any]) -> dict[str, Any]:
    if isinstance(error, NotAllConfirmed):
        return {"results": error.results}
    return {"error": problem_of(status, error)}


def _text(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The JSON is nested too deeply."
    return error.detail if isinstance(error, HTTPException) else str(error)


_SHAPES = {
    Family.OPENPIPE: _openpipe_body,
    Family.PEZZO: _pezzo_body,
    Family.LOG_ENTRIES: _log_entry_body,
    Family.BATCHES: _batch_body,
}
