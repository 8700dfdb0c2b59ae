"""The Pezzo endpoints: the report, and the two calls of a reply cache that is not there.

A failing cache call would break the user's own call in the clients, so both are answered whenever they can be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel, ValidationError

from ingest_api import auth, routes, usual
from ingest_api.answering import Answer, direct
from ingest_api.answers import PezzoAccepted, PezzoCacheMiss, PezzoCacheSaved
from ingest_api.bodies import BodyReader
from ingest_api.documentation import PEZZO, EndpointDocs, documented
from ingest_api.errors import InvalidFields
from ingest_api.intake import Intake, Submission, idempotency_key_of, position_header
from ingest_api.pezzo_models import CacheEntry, CacheQuestion, PezzoReport, sentences_of
from ingest_api.slicing import Slicer, check_key_count, check_small, stand_in, stand_ins_of, values_of
from ledger.dialects import MAX_SMALL_FIELD_BYTES, pezzo, value_of
from ledger.json_text import check_json_text
from ledger.report import Kind

CACHED_FOR = timedelta(days=3)


class JudgedReport(msgspec.Struct, frozen=True):
    """What the answer and the record need of a report that passed."""

    requested_at_ms: int | None
    calculated: pezzo.Calculated


@dataclass(frozen=True, slots=True)
class PezzoEndpoints:
    """The handlers and what they work with."""

    intake: Intake
    reader: BodyReader

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes, prefixed and bare."""
        return [
            direct(routes.PEZZO_REPORT, **documented(PEZZO, _REPORT_DOCS))(self.report),
            direct(routes.PEZZO_RETRIEVE, **documented(PEZZO, _RETRIEVE_DOCS))(self.retrieve),
            direct(routes.PEZZO_SAVE, **documented(PEZZO, _SAVE_DOCS))(self.save),
        ]

    async def report(self, request: Request[Any, Any, Any]) -> Answer[PezzoAccepted]:
        """Accept a report. A 2xx means that it survives any crash of ours, not that it can be queried yet."""
        headers = dict(request.scope["headers"])
        sender = auth.pezzo_principal(headers, self.intake.keys)
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            judged = await self.reader.judged(body, charge, judge_report)
            submission = Submission(sender, body, idempotency_key_of(headers))
            receipt = await self.intake.accept_report(submission, Kind.PEZZO_REQUEST, judged.requested_at_ms)
        answer = PezzoAccepted(receipt.record_id, judged.calculated)
        return Answer(msgspec.json.encode(answer), (position_header(receipt),))

    async def retrieve(self, request: Request[Any, Any, Any]) -> Answer[PezzoCacheMiss]:
        """Say that there is no cached reply."""
        auth.pezzo_principal(dict(request.scope["headers"]), self.intake.keys)
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            await self.reader.judged(body, charge, judge_retrieve)
        return Answer(msgspec.json.encode(PezzoCacheMiss()))

    async def save(self, request: Request[Any, Any, Any]) -> Answer[PezzoCacheSaved]:
        """Say what a cache would have said. Nothing is kept."""
        auth.pezzo_principal(dict(request.scope["headers"]), self.intake.keys)
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            digest = await self.reader.judged(body, charge, judge_save)
        expires = (self.intake.clock() + CACHED_FOR).isoformat(timespec="milliseconds")
        return Answer(msgspec.json.encode(PezzoCacheSaved(digest, expires.replace("+00:00", "Z"))))


def judge_report(body: bytes) -> JudgedReport:
    """What the answer needs of the report. Raises `Invalid` for a body that is none."""
    check_json_text(body)
    told = usual.pezzo_report(body)
    times = told.times() if told else None
    return JudgedReport(times[0], told.calculated(times)) if told and times else judge_fields(body)


def judge_fields(body: bytes) -> JudgedReport:
    """The same, field by field, of a body that is JSON text."""
    fields = _TOP.cut(body)
    request, response = _part(_REQUEST, fields.get("request")), _part(_RESPONSE, fields.get("response"))
    check_key_count(body, [part["body"] for part in (request, response) if "body" in part])
    check_small(fields, _SMALL)
    for part in (request, response):
        check_small(part, ("timestamp", "status"))
    shown = values_of(fields, ("metadata", "cacheEnabled", "cacheHit")) | stand_ins_of(fields, ("properties",))
    _validate(PezzoReport, shown | _shown(fields, "request", request) | _shown(fields, "response", response))
    return JudgedReport(pezzo.timestamp_ms(request), pezzo.calculated_of(request, response))


def judge_retrieve(body: bytes) -> None:
    """Raise `Invalid` for a body that asks for no request."""
    check_json_text(body)
    _validate(CacheQuestion, stand_ins_of(_CACHE.cut(body), ("request",)))


def judge_save(body: bytes) -> str:
    """SHA-256, in hex, of the request as JSON with sorted keys; of one beyond 1 MiB as it came."""
    check_json_text(body)
    fields = _CACHE.cut(body)
    _validate(CacheEntry, stand_ins_of(fields, ("request", "response")))
    request = bytes(fields["request"])
    if len(request) <= MAX_SMALL_FIELD_BYTES:
        request = msgspec.json.encode(value_of(fields["request"]), order="sorted")
    return sha256(request).hexdigest()


def _part(slicer: Slicer, raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    return slicer.cut(raw) if raw is not None and isinstance(stand_in(raw), dict) else {}


def _shown(fields: Mapping[str, msgspec.Raw], name: str, part: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """The part as its model sees it: small fields whole, the body by its type, a part that is no object as it is."""
    if name not in fields:
        return {}
    value = stand_in(fields[name])
    if isinstance(value, dict):
        value = values_of(part, ("timestamp", "status")) | stand_ins_of(part, ("body",))
    return {name: value}


def _validate(model: type[BaseModel], values: dict[str, Any]) -> None:
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise InvalidFields(sentences_of(error)) from None


_TOP = Slicer(pezzo.KNOWN_KEYS)
_REQUEST = Slicer(pezzo.REQUEST_KEYS)
_RESPONSE = Slicer(pezzo.RESPONSE_KEYS)
_CACHE = Slicer(("request", "response"))
_SMALL = ("metadata", "properties", "cacheEnabled", "cacheHit")

_REPORT_DOCS = EndpointDocs(summary="Report a call", body=PezzoReport)
_RETRIEVE_DOCS = EndpointDocs(summary="Ask for a cached reply", body=CacheQuestion, stores=False)
_SAVE_DOCS = EndpointDocs(summary="Hand in a reply to be cached", body=CacheEntry, stores=False)
