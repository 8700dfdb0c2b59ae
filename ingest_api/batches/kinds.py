"""The kinds of items, and how one of each is judged and stamped: exactly as by the endpoint of its own API.

A further kind is one more line of the table.
"""

from collections.abc import Callable, Mapping

from ingest_api import log_entries, openpipe, pezzo
from ingest_api.intake import Intake, Stamped, Submission
from ledger.errors import NotFound
from ledger.ids import belongs
from ledger.report import Kind

Stamp = Callable[[Intake, Submission], Stamped]
"""Decides identity and times of a judged item. Raises `NotFound` for an update of a record that is not the sender's."""

Judge = Callable[[bytes], Stamp]
"""Raises `Invalid` for a body that its API refuses."""


def _report(kind: Kind, requested_at_ms: Callable[[bytes], int | None]) -> Judge:
    def judged(body: bytes) -> Stamp:
        requested_at = requested_at_ms(body)
        return lambda intake, submission: intake.stamped_report(submission, kind, requested_at)

    return judged


def _of_pezzo(body: bytes) -> int | None:
    return pezzo.judge_report(body).requested_at_ms


def _of_log_entry(body: bytes) -> None:
    log_entries.judge_insert(body)


def _update(body: bytes) -> Stamp:
    text = log_entries.judge_update(body)

    def stamped(intake: Intake, submission: Submission) -> Stamped:
        record_id = belongs(text, intake.keys.id_secret(submission.principal.project))
        if record_id is None:
            raise NotFound("Log entry not found")
        return intake.stamped_update(submission, Kind.LOG_UPDATE, record_id)

    return stamped


JUDGES: Mapping[str, Judge] = {
    Kind.OPENPIPE_REPORT.value: _report(Kind.OPENPIPE_REPORT, openpipe.judge_report),
    Kind.OPENPIPE_REPORT_ANTHROPIC.value: _report(Kind.OPENPIPE_REPORT_ANTHROPIC, openpipe.judge_report),
    Kind.PEZZO_REQUEST.value: _report(Kind.PEZZO_REQUEST, _of_pezzo),
    Kind.LOG_INSERT.value: _report(Kind.LOG_INSERT, _of_log_entry),
    Kind.LOG_UPDATE.value: _update,
}
