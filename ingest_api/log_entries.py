"""The log-entry endpoints: insert and update.

There is no database here: an update is accepted for any id that the key's project has made, stored or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel, ValidationError

from ingest_api import auth, routes, usual
from ingest_api.answering import Answer, direct
from ingest_api.answers import LogEntryAccepted
from ingest_api.bodies import BodyReader
from ingest_api.documentation import LOG_ENTRIES, EndpointDocs, documented
from ingest_api.errors import InvalidFields
from ingest_api.intake import Intake, Receipt, Submission, idempotency_key_of, position_header
from ingest_api.log_entry_models import LogEntry, LogUpdate, sentences_of
from ingest_api.slicing import Slicer, check_key_count, check_small, stand_ins_of, values_of
from ledger.dialects import log_entries
from ledger.errors import NotFound
from ledger.ids import belongs
from ledger.json_text import check_json_text
from ledger.report import Kind


@dataclass(frozen=True, slots=True)
class LogEntryEndpoints:
    """The handlers and what they work with."""

    intake: Intake
    reader: BodyReader

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes, prefixed and bare."""
        return [
            direct(routes.LOG_INSERT, **documented(LOG_ENTRIES, _INSERT_DOCS))(self.insert),
            direct(routes.LOG_UPDATE, **documented(LOG_ENTRIES, _UPDATE_DOCS))(self.update),
        ]

    async def insert(self, request: Request[Any, Any, Any]) -> Answer[LogEntryAccepted]:
        """Accept an entry. A 2xx means that it survives any crash of ours, not that it can be queried yet."""
        headers = dict(request.scope["headers"])
        sender = auth.log_entries_principal(headers, self.intake.keys)
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            await self.reader.judged(body, charge, judge_insert)
            submission = Submission(sender, body, idempotency_key_of(headers))
            return _accepted(await self.intake.accept_report(submission, Kind.LOG_INSERT, None))

    async def update(self, request: Request[Any, Any, Any]) -> Answer[LogEntryAccepted]:
        """Accept an update of an entry. Updates of one entry apply in the order of their acceptance."""
        headers = dict(request.scope["headers"])
        sender = auth.log_entries_principal(headers, self.intake.keys)
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            text = await self.reader.judged(body, charge, judge_update)
            submission = Submission(sender, body, idempotency_key_of(headers))
            record_id = belongs(text, self.intake.keys.id_secret(sender.project))
            if record_id is None:
                raise NotFound("Log entry not found")
            return _accepted(await self.intake.accept_update(submission, Kind.LOG_UPDATE, record_id))


def judge_insert(body: bytes) -> None:
    """Raise `Invalid` for a body that is no log entry."""
    check_json_text(body)
    if usual.log_entry(body) is None:
        judge_fields(body)


def judge_fields(body: bytes) -> None:
    """The same, field by field, of a body that is JSON text."""
    fields = _ENTRY.cut(body)
    _check_sizes(body, fields)
    _validate(LogEntry, _shown(fields))
    _check_figures(fields)


def judge_update(body: bytes) -> str:
    """The id that is to be updated, as it was sent. Raises `Invalid` for a body that is no update."""
    check_json_text(body)
    told = usual.log_update(body)
    return judge_update_fields(body) if told is None else told.id


def judge_update_fields(body: bytes) -> str:
    """The same, field by field, of a body that is JSON text."""
    top = _UPDATE.cut(body)
    check_small(top, ("id",))
    shown = values_of(top, ("id",)) | stand_ins_of(top, ("update_data",))
    changes: dict[str, msgspec.Raw] = {}
    if isinstance(shown.get("update_data"), dict):
        changes = _ENTRY.cut(top["update_data"])
        shown["update_data"] = _shown(changes)
    _check_sizes(body, changes)
    _validate(LogUpdate, shown)
    _check_figures(changes)
    return str(shown["id"])


def _check_sizes(body: bytes, fields: Mapping[str, msgspec.Raw]) -> None:
    check_key_count(body, [fields[name] for name in ("request_data", "response_data") if name in fields])
    check_small(fields, log_entries.SMALL_FIELDS)


def _shown(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """The entry as its model sees it: small fields whole, payloads by their type."""
    small = values_of(fields, ("model", "duration", "initiator", "description", "cost"))
    return small | stand_ins_of(fields, ("request_data", "response_data", "metadata", "media"))


def _check_figures(fields: Mapping[str, msgspec.Raw]) -> None:
    """Raise `Invalid` for figures that the store cannot hold and for media that are none."""
    log_entries.duration_ms(fields)
    log_entries.cost_pico_usd(fields)
    for _ in log_entries.media_of(fields.get("media")):
        pass  # looked at one by one, so that only one is decoded at a time


def _validate(model: type[BaseModel], values: dict[str, Any]) -> None:
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise InvalidFields(sentences_of(error)) from None


def _accepted(receipt: Receipt) -> Answer[LogEntryAccepted]:
    return Answer(msgspec.json.encode(LogEntryAccepted(receipt.record_id)), (position_header(receipt),))


_ENTRY = Slicer(log_entries.KNOWN_KEYS)
_UPDATE = Slicer(log_entries.UPDATE_KEYS)

_INSERT_DOCS = EndpointDocs(summary="Insert a log entry", body=LogEntry)
_UPDATE_DOCS = EndpointDocs(
    summary="Update a log entry", body=LogUpdate, also={404: "There is no such entry in the key's project."}
)
