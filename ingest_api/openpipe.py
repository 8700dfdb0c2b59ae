"""The OpenPipe endpoints: report, report-anthropic and the deprecated check-cache.

Checks come in the order of the original: parse, key, validate, permission to write. Only the syntax of a body is looked
at before its sender is known, and only when the body is short.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel, ValidationError

from ingest_api import auth, routes, usual
from ingest_api.answering import Answer, direct
from ingest_api.answers import NoCachedReply, ReportAccepted
from ingest_api.bodies import BodyReader, Charge
from ingest_api.documentation import OPENPIPE, EndpointDocs, documented
from ingest_api.errors import InvalidFields
from ingest_api.intake import BadIdempotencyKey, Intake, Submission, idempotency_key_of, log_id_header, position_header
from ingest_api.openpipe_models import (
    CheckCacheBody,
    ReportBody,
    custom_issue,
    issues_of,
    not_an_object_issue,
    type_name,
)
from ingest_api.slicing import Slicer, check_key_count, check_small, stand_in, values_of
from ledger.dialects import NotAnObject, openpipe
from ledger.errors import MissingScope, Refused, TooLarge
from ledger.json_text import check_json_text
from ledger.keys import Principal, Scope
from ledger.report import Kind


@dataclass(frozen=True, slots=True)
class OpenPipeEndpoints:
    """The handlers and what they work with."""

    intake: Intake
    reader: BodyReader

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes, prefixed and bare."""
        return [
            direct(routes.REPORT, **documented(OPENPIPE, _REPORT_DOCS))(self.report),
            direct(routes.REPORT_ANTHROPIC, **documented(OPENPIPE, _ANTHROPIC_DOCS))(self.report_anthropic),
            direct(routes.CHECK_CACHE, **documented(OPENPIPE, _CHECK_CACHE_DOCS))(self.check_cache),
        ]

    async def report(self, request: Request[Any, Any, Any]) -> Answer[ReportAccepted]:
        """Accept a report. A 2xx means that it survives any crash of ours, not that it can be queried yet."""
        return await self._accept(request, Kind.OPENPIPE_REPORT)

    async def report_anthropic(self, request: Request[Any, Any, Any]) -> Answer[ReportAccepted]:
        """Accept a report of a call to Anthropic. Neither request nor reply is checked against a schema."""
        return await self._accept(request, Kind.OPENPIPE_REPORT_ANTHROPIC)

    async def check_cache(self, request: Request[Any, Any, Any]) -> Answer[NoCachedReply]:
        """Say that there is no cached reply. Any known key may ask."""
        with self.reader.charged() as charge:
            await self._sender(request, dict(request.scope["headers"]), charge)
            body = await self.reader.read(request, charge)
            await self.reader.judged(body, charge, judge_check_cache)
        return Answer(_NO_CACHED_REPLY)

    async def _accept(self, request: Request[Any, Any, Any], kind: Kind) -> Answer[ReportAccepted]:
        headers = dict(request.scope["headers"])
        with self.reader.charged() as charge:
            sender = await self._sender(request, headers, charge)
            body = await self.reader.read(request, charge)
            requested_at_ms = await self.reader.judged(body, charge, judge_report)
            submission = Submission(sender, body, _idempotency_key(headers))
            if not sender.may(Scope.INGEST):
                raise MissingScope
            receipt = await self.intake.accept_report(submission, kind, requested_at_ms)
        return Answer(_ACCEPTED, (log_id_header(receipt), position_header(receipt)))

    async def _sender(self, request: Request[Any, Any, Any], headers: auth.Headers, charge: Charge) -> Principal:
        try:
            return auth.openpipe_principal(headers, self.intake.keys)
        except Refused:
            await self._check_syntax_of_a_stranger(request, charge)
            raise

    async def _check_syntax_of_a_stranger(self, request: Request[Any, Any, Any], charge: Charge) -> None:
        cap = self.reader.settings.max_unauthenticated_body_bytes
        try:
            body = await self.reader.read(request, charge, cap)
            await self.reader.judged(body, charge, check_syntax, cap)
        except TooLarge:
            return  # not worth reading for a stranger


def check_syntax(body: bytes) -> None:
    """Raise `Invalid` unless the body is JSON, of whatever type, or empty."""
    if body:
        check_json_text(body)
        with suppress(NotAnObject):
            _NOTHING.cut(body)


def judge_report(body: bytes) -> int | None:
    """When the reported call was made, in milliseconds since 1970. Raises `Invalid` for a body that is no report."""
    if not body:
        return None
    check_json_text(body)
    told = usual.report(body)
    return judge_fields(body) if told is None else told.requested_at_ms


def judge_fields(body: bytes) -> int | None:
    """The same, field by field, of a body that is JSON text."""
    fields = _fields(_REPORT, body)
    check_key_count(body, [fields[name] for name in openpipe.PAYLOADS if name in fields])
    check_small(fields, openpipe.SMALL_FIELDS)
    _validate(ReportBody, values_of(fields, openpipe.SMALL_FIELDS))
    return openpipe.requested_at_ms(fields)


def judge_check_cache(body: bytes) -> None:
    """Raise `Invalid` for a body that is no question for a cached reply."""
    check_json_text(body)
    fields = _fields(_CHECK_CACHE, body) if body else {}
    check_small(fields, ("requestedAt",))
    _validate(CheckCacheBody, values_of(fields, ("requestedAt",)))


def _fields(slicer: Slicer, body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return slicer.cut(body)
    except NotAnObject:
        received = type_name(stand_in(msgspec.Raw(body.strip())))
        raise InvalidFields([not_an_object_issue(received)]) from None


def _validate(model: type[BaseModel], values: dict[str, Any]) -> None:
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise InvalidFields(issues_of(error)) from None


def _idempotency_key(headers: auth.Headers) -> str | None:
    try:
        return idempotency_key_of(headers)
    except BadIdempotencyKey as error:
        raise InvalidFields([custom_issue("Idempotency-Key", str(error))]) from None


_ACCEPTED = msgspec.json.encode(ReportAccepted())
_NO_CACHED_REPLY = msgspec.json.encode(NoCachedReply())
_REPORT = Slicer(openpipe.KNOWN_KEYS)
_CHECK_CACHE = Slicer(("requestedAt",))
_NOTHING = Slicer(())

_REPORT_DOCS = EndpointDocs(summary="Report a call", body=ReportBody, body_required=False, tells_log_id=True)
_ANTHROPIC_DOCS = EndpointDocs(
    summary="Report a call to Anthropic", body=ReportBody, body_required=False, tells_log_id=True
)
_CHECK_CACHE_DOCS = EndpointDocs(summary="Ask for a cached reply", body=CheckCacheBody, stores=False, deprecated=True)
