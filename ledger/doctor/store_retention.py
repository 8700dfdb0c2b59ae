"""Deletion for age: what is kept, and whether what is not kept goes."""

from collections.abc import Iterator
from functools import partial

from clickhouse_connect.driver import Client

from ledger.clock import Clock, from_milliseconds, to_milliseconds
from ledger.doctor import Finding, ok, problem, warning
from ledger.doctor.store_looks import Check, rows
from ledger.filtering.statements import Bound
from ledger.retention import DAY_MS, DEFAULT, Installation, Policies
from ledger.store.retention import Run, latest_run, read_policies
from ledger.store.retention_clock import is_doubt
from ledger.store.retention_deleting import Cut, gone
from ledger.store.retention_room import bytes_of_tables

PART = "calls kept"
LATE_DAYS = 2

_WHO = "The process that deletes is the standalone, or the worker that owns partition 0: does it run, what does it log?"

_CLOCK = (
    "Is the clock right? If not, put it right: what it hides is shown again. If it is, as after a pause of some days,"
    " do nothing: what is too old is deleted a day after the clock was doubted."
)
_CAP = (
    "Calls are not deleted for a default cap that was exceeded from the start: set LLMLEDGER_RETENTION__MAX_GB to what"
    " the store may take; beyond that the oldest calls go."
)


def retention_check(installation: Installation, clock: Clock) -> Check:
    """The check of an installation."""
    return partial(_look, installation=installation, clock=clock)


def _look(client: Client, installation: Installation, clock: Clock) -> Iterator[Finding]:
    now = to_milliseconds(clock())
    policies = read_policies(client, installation)
    run, done = latest_run(client), latest_run(client, finished=True)
    if run and is_doubt(run):
        yield problem(PART, f"Deleting what is too old waits since {_day(run.written_at)}: {run.error}", _CLOCK)
    elif run and run.error:
        yield problem(PART, f"Deleting what is too old failed at {_day(run.written_at)}: {run.error}", _WHO)
    elif _is_late(done, now) and (left := _left(client, policies, now)):
        last = f"was last done {_day(done.begun_at)}" if done else "was never done"
        yield problem(PART, f"{left} versions of calls are hidden and still there; deletion for age {last}.", _WHO)
    else:
        yield ok(PART, _said(policies))
    yield from _above_default_cap(client, installation)
    yield from _came_too_late(client, policies, now)


def _above_default_cap(client: Client, installation: Installation) -> Iterator[Finding]:
    most = installation.max_bytes
    if most is not None and installation.cap_is_default and (size := bytes_of_tables(client)) > most:
        yield warning(PART, f"The store takes {size} bytes, more than its default cap of {most} bytes.", _CAP)


def _came_too_late(client: Client, policies: Policies, now: int) -> Iterator[Finding]:
    """Calls that were too old when they were reported: nobody will ever see them."""
    bound = Bound()
    older = gone("request_logs", Cut(policies.retained(now), now), bound)
    where = f"{older} AND ingested_at >= {bound.time(now - DAY_MS)}"
    late = int(rows(client, bound.statement(f"SELECT count() FROM request_logs WHERE {where}"))[0][0])
    if late:
        do = "Is that meant? To see them, set more days before the next nightly run: llmledger retention set"
        yield warning(PART, f"{late} calls of the last day say that they are older than what is kept: not shown.", do)


def _is_late(done: Run | None, now: int) -> bool:
    return done is None or now - (done.finished_at or 0) > LATE_DAYS * DAY_MS


def _left(client: Client, policies: Policies, now: int) -> int:
    """What has been too old for days and is still there."""
    then = now - LATE_DAYS * DAY_MS
    bound = Bound()
    where = gone("request_logs", Cut(policies.retained(then), then), bound)
    return int(rows(client, bound.statement(f"SELECT count() FROM request_logs WHERE {where}"))[0][0])


def _said(policies: Policies) -> str:
    days = policies.default_days
    others = sum(policy.project != DEFAULT for policy in policies.set_ones)
    by_default = "For ever by default" if days is None else f"{days} days by default"
    cut = f"; those from before {_day(policies.cut_before)} went for the disk cap's sake" if policies.cut_before else ""
    return f"{by_default}, {others} projects with days of their own{cut}."


def _day(ms: int) -> str:
    return f"{from_milliseconds(ms):%Y-%m-%d %H:%M} UTC"
