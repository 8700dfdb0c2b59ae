"""Rows of reports in every dialect, from the fields of their bodies."""

from typing import Any

from ledger.report import Kind
from ledger.request_log import RequestLog
from tests.support.events import an_envelope, the_row

ACCEPTED_AT = an_envelope().accepted_at
CHAT = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "Hi!"}}]}

PEZZO: dict[str, Any] = {
    "metadata": {"provider": "OpenAI", "client": "pezzo-ts", "clientVersion": "0.4.18", "environment": "Production"},
    "request": {"timestamp": "2026-03-14T15:09:26.000Z", "body": {"model": "gpt-4o"}},
    "response": {"timestamp": "2026-03-14T15:09:27.500Z", "body": CHAT, "status": 200},
}


def openpipe(**fields: Any) -> RequestLog:
    """What an OpenPipe report is stored as."""
    return the_row(fields)


def anthropic(**fields: Any) -> RequestLog:
    """What an OpenPipe report of an Anthropic call is stored as."""
    return the_row(fields, Kind.OPENPIPE_REPORT_ANTHROPIC)


def pezzo(**fields: Any) -> RequestLog:
    """What a Pezzo report is stored as."""
    return the_row({**PEZZO, **fields}, Kind.PEZZO_REQUEST)


def entry(**fields: Any) -> RequestLog:
    """What a log entry is stored as."""
    return the_row({"model": "gpt-4o", **fields}, Kind.LOG_INSERT)


def shown(row: RequestLog, expected: dict[str, Any]) -> dict[str, Any]:
    """The named columns of the row."""
    return {name: dict(row.metadata) if name == "metadata" else getattr(row, name) for name in expected}
