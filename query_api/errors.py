"""Errors → HTTP: one table. Every error body is `{"error": text}`; no text carries a key, a query or a stack trace.

An unknown key is told before an unsupported method: a caller without a key learns nothing of what is served.
"""

import logging
import random
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_401_UNAUTHORIZED,
    HTTP_403_FORBIDDEN,
    HTTP_404_NOT_FOUND,
    HTTP_405_METHOD_NOT_ALLOWED,
    HTTP_422_UNPROCESSABLE_ENTITY,
    HTTP_429_TOO_MANY_REQUESTS,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)

from ledger.counted_log import CountedLog
from ledger.errors import (
    BusUnavailable,
    Invalid,
    LedgerError,
    Misconfigured,
    MissingKey,
    MissingScope,
    NotFound,
    Refused,
    Unavailable,
)
from query_api.schemas import ErrorBody

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = (1, 5)  # at random, so that refused callers do not all come back at once

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]
Answer = Response[ErrorBody]
Handler = Callable[[AnyRequest, Any], Answer]
Handlers = MutableMapping[int | type[Exception], Handler]


class BadParameter(Invalid):
    """A parameter of the request cannot be understood."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")


class TooExpensive(LedgerError):
    """The answer would cost more than one question may."""


class TooBusy(LedgerError):
    """Too many questions of this project are waiting for their turn: ask fewer at once, and retry."""


class NotAdmin(MissingScope):
    """This needs a key with the scope admin."""


class NoBus(Unavailable):
    """This puts events on the bus, and LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS is not set for the query service."""


def exception_handlers(check_key: Callable[[AnyRequest], object]) -> Handlers:
    """What each failure is answered with. `check_key` raises `Refused` for a key that may do nothing here."""

    def not_allowed(request: AnyRequest, error: MethodNotAllowedException) -> Answer:
        try:
            check_key(request)
        except Refused as refused:
            return _refused(request, refused)
        return _answer(HTTP_405_METHOD_NOT_ALLOWED, "Method not allowed", dict(error.headers or {}))

    counted = CountedLog(log)

    def unavailable(_request: AnyRequest, error: Unavailable) -> Answer:
        counted.warning("The store did not answer.", {"action": "store_unavailable", "detail": str(error)})
        return _try_again("Not available at the moment, retry")

    def bus_unavailable(_request: AnyRequest, error: BusUnavailable) -> Answer:
        counted.warning("The bus did not confirm.", {"action": "bus_unavailable", "detail": str(error)})
        return _try_again(f"The bus: {error}")

    return {
        MethodNotAllowedException: not_allowed,
        NotFoundException: _not_found,
        ValidationException: _wrong_form,
        HTTPException: _http,
        NotAdmin: _not_admin,
        Refused: _refused,
        Invalid: _invalid,
        NotFound: _not_found,
        TooExpensive: _too_expensive,
        TooBusy: _too_busy,
        NoBus: _no_bus,
        BusUnavailable: bus_unavailable,
        Unavailable: unavailable,
        Misconfigured: _misconfigured,
        RecursionError: _too_deep,
        Exception: _unexpected,
    }


def _refused(_request: AnyRequest, error: Refused) -> Answer:
    missing = isinstance(error, MissingKey)
    text = "You must be logged in or provide an API key." if missing else "Invalid API key."
    return _answer(HTTP_401_UNAUTHORIZED, text)


def _not_admin(_request: AnyRequest, error: NotAdmin) -> Answer:
    return _answer(HTTP_403_FORBIDDEN, str(error))


def _invalid(_request: AnyRequest, error: Invalid) -> Answer:
    return _answer(HTTP_400_BAD_REQUEST, str(error))


def _not_found(_request: AnyRequest, _error: Exception) -> Answer:
    return _answer(HTTP_404_NOT_FOUND, "Not found")


def _too_expensive(_request: AnyRequest, error: TooExpensive) -> Answer:
    return _answer(HTTP_422_UNPROCESSABLE_ENTITY, str(error))


def _too_busy(_request: AnyRequest, error: TooBusy) -> Answer:
    return _try_again(str(error), HTTP_429_TOO_MANY_REQUESTS)


def _no_bus(_request: AnyRequest, error: NoBus) -> Answer:
    return _answer(HTTP_503_SERVICE_UNAVAILABLE, str(error))


def _misconfigured(_request: AnyRequest, error: Misconfigured) -> Answer:
    log.error("The key file cannot be read.", extra={"action": "misconfigured", "detail": str(error)})
    return _try_again("Not available at the moment, retry")


def _wrong_form(_request: AnyRequest, error: ValidationException) -> Answer:
    """Names the fields of the body that are wrong; no value of theirs."""
    found = error.extra if isinstance(error.extra, list) else []
    texts = [": ".join(str(item[name]) for name in ("key", "message") if item.get(name)) for item in found]
    return _answer(HTTP_400_BAD_REQUEST, "; ".join(filter(None, texts)) or error.detail)


def _http(_request: AnyRequest, error: HTTPException) -> Answer:
    return _answer(error.status_code, error.detail)


def _unexpected(request: AnyRequest, error: Exception) -> Answer:
    log.error("The request failed.", extra={"action": "failed", "path": request.url.path}, exc_info=error)
    return _answer(HTTP_500_INTERNAL_SERVER_ERROR, "Internal server error")


def _too_deep(_request: AnyRequest, _error: RecursionError) -> Answer:
    return _answer(HTTP_400_BAD_REQUEST, "The body is nested too deeply")


def _try_again(text: str, status: int = HTTP_503_SERVICE_UNAVAILABLE) -> Answer:
    seconds = str(random.randint(*RETRY_AFTER_SECONDS))
    return _answer(status, text, {"Retry-After": seconds})


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Response(ErrorBody(error=text), status_code=status, headers=dict(headers or {}))
