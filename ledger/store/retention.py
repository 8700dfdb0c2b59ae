"""The tables `retention` and `retention_runs`: what is to be kept, and how the deletions for age went. Of a client."""

from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver import Client

from ledger.ids import ProjectId
from ledger.retention import Installation, Policies, Policy
from ledger.store.clickhouse import insert
from ledger.store.columns import LABEL, TIME, each, select_list


@dataclass(frozen=True, slots=True)
class Run:
    """One deletion for age, and how far it came. Times are milliseconds since 1970."""

    begun_at: int
    written_at: int
    finished_at: int | None = None
    cut_before: int | None = None  # the disk cap: everything older goes, of every project
    parts: int = 0  # dropped as a whole
    rows: int = 0  # deleted, in all tables and versions
    blobs: int = 0
    blobs_owed: tuple[ProjectId, ...] = ()  # projects whose media that nothing names are still to go
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    policy: Policy
    is_set: bool


_POLICY_COLUMNS = (
    each("project", LABEL, lambda entry: entry.policy.project),
    each("set_at", TIME, lambda entry: entry.policy.set_at),
    each("set_by", "String", lambda entry: entry.policy.set_by),
    each("is_set", "Bool", lambda entry: entry.is_set),
    each("days", "Nullable(UInt32)", lambda entry: entry.policy.days),
)
_RUN_COLUMNS = (
    each("begun_at", TIME, lambda run: run.begun_at),
    each("written_at", TIME, lambda run: run.written_at),
    each("finished_at", f"Nullable({TIME})", lambda run: run.finished_at),
    each("cut_before", f"Nullable({TIME})", lambda run: run.cut_before),
    each("parts", "UInt64", lambda run: run.parts),
    each("rows", "UInt64", lambda run: run.rows),
    each("blobs", "UInt64", lambda run: run.blobs),
    each("blobs_owed", "Array(String)", lambda run: list(run.blobs_owed)),
    each("error", "String", lambda run: run.error),
)


def read_policies(client: Client, installation: Installation) -> Policies:
    """What is to be kept, as it stands now."""
    entries = [_entry(row) for row in _rows(client, f"SELECT {select_list(_POLICY_COLUMNS)} FROM retention FINAL")]
    cut = _rows(client, "SELECT toUnixTimestamp64Milli(max(cut_before)) FROM retention_runs")[0][0]
    found = sorted((entry.policy for entry in entries if entry.is_set), key=lambda policy: policy.project)
    return Policies(found, installation.default_days, cut)


def write_policy(client: Client, policy: Policy, *, is_set: bool = True) -> None:
    """Durable on return; the latest of a project counts. Not `is_set`: it follows the default again."""
    token = f"{policy.project}@{policy.set_at}"
    insert(client, "retention", _POLICY_COLUMNS, [_Entry(policy, is_set)], token)


def note_run(client: Client, run: Run) -> None:
    """Durable on return; the latest note of a run counts."""
    insert(client, "retention_runs", _RUN_COLUMNS, [run], f"{run.begun_at}@{run.written_at}")


def latest_run(client: Client, *, finished: bool = False, cutting: bool = False) -> Run | None:
    """The run that began last; of those that were finished, or that the disk cap made."""
    where = [
        text for text, wanted in (("finished_at IS NOT NULL", finished), ("cut_before IS NOT NULL", cutting)) if wanted
    ]
    found = _rows(
        client,
        f"SELECT {select_list(_RUN_COLUMNS)} FROM retention_runs FINAL WHERE {' AND '.join(where) or '1'}"
        " ORDER BY retention_runs.begun_at DESC LIMIT 1",
    )
    return _run(found[0]) if found else None


def _rows(client: Client, sql: str) -> Any:
    return client.query(sql).result_rows


def _entry(values: Any) -> _Entry:
    project, set_at, set_by, is_set, days = values
    return _Entry(Policy(ProjectId(project), days, set_at, set_by), bool(is_set))


def _run(values: Any) -> Run:
    begun, written, finished, cut, parts, rows, blobs, owed, error = values
    return Run(begun, written, finished, cut, parts, rows, blobs, tuple(map(ProjectId, owed)), error)
