"""A call → what is sent for it, through one of the report APIs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from deploy.demo import log_entries, openpipe, pezzo
from deploy.demo.calls import Call
from deploy.demo.inventing import Inventor
from deploy.demo.models import Dialect
from ledger.clock import Clock

UPDATE_PATH = "/api/logs/update"

_PATHS: Mapping[Dialect, str] = {
    Dialect.OPENPIPE: "/api/v1/report",
    Dialect.OPENPIPE_ANTHROPIC: "/api/v1/report-anthropic",
    Dialect.PEZZO: "/api/reporting/v2/request",
    Dialect.LOG_ENTRY: "/api/logs/insert",
}
_BODIES: Mapping[Dialect, Callable[[Call], dict[str, Any]]] = {
    Dialect.OPENPIPE: openpipe.report,
    Dialect.OPENPIPE_ANTHROPIC: openpipe.anthropic_report,
    Dialect.PEZZO: pezzo.report,
    Dialect.LOG_ENTRY: log_entries.entry,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What is sent for one call. `changes` are the fields of an update that follows."""

    dialect: Dialect
    body: bytes
    changes: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        """Where it is posted."""
        return _PATHS[self.dialect]


def update_of(entry_id: str, changes: dict[str, Any]) -> bytes:
    """The body of an update of the entry of this id."""
    return msgspec.json.encode({"id": entry_id, "update_data": changes})


def reports(seed: int, clock: Clock, span: timedelta) -> Iterator[Report]:
    """Reports without end, of calls in the span before now. The same seed and clock give the same reports."""
    return map(report_of, Inventor(seed, clock, span).calls())


def report_of(call: Call) -> Report:
    """The call as its application reports it."""
    dialect = call.model.dialect
    changes = log_entries.changes(call) if dialect is Dialect.LOG_ENTRY else None
    return Report(dialect, msgspec.json.encode(_BODIES[dialect](call)), changes)
