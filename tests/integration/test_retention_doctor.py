"""What the doctor says of deletion for age, and that what is gone for its age is not taken for lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver import Client

from ledger.clock import system_clock, to_milliseconds
from ledger.doctor import Finding, Level
from ledger.doctor.store_retention import retention_check
from ledger.doctor.store_rows import row_checks
from ledger.ids import ProjectId, keyed_id
from ledger.retention import DAY_MS, Installation, Policy
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore, open_client
from ledger.store.retention import Run, note_run, write_policy
from ledger.store.retention_clock import Doubt
from tests.support.builders import ID_SECRET, a_request_log, an_id
from tests.support.chdb_fixtures import with_schema

NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
TEN_DAYS = Installation(default_days=10)


@pytest.fixture
def dsn(chdb_dsn: str) -> str:
    return with_schema(chdb_dsn)


@pytest.fixture
def client(dsn: str) -> Iterator[Client]:
    opened = open_client(dsn)
    yield opened
    opened.close()


def looked(client: Client, installation: Installation = TEN_DAYS) -> Finding:
    (finding,) = retention_check(installation, lambda: NOW)(client)
    return finding


async def an_old_call(dsn: str, days: int, **changes: int) -> None:
    pool = ClickHousePool(dsn, threads=1)
    try:
        at = NOW_MS - days * DAY_MS
        row = a_request_log(**{"created_at": at, "id": an_id(at, 1), **changes})
        await ClickHouseStore(pool).insert_rows([row], str(days))
    finally:
        pool.close()


def test_it_says_what_is_kept(client: Client) -> None:
    assert looked(client, Installation()).seen == "For ever by default, 0 projects with days of their own."
    write_policy(client, Policy(ProjectId("shop"), 90, 1, "k"))
    note_run(client, Run(NOW_MS, NOW_MS, NOW_MS, cut_before=NOW_MS - 5 * DAY_MS))
    assert (looked(client).level, looked(client).seen) == (
        Level.OK,
        "10 days by default, 1 projects with days of their own; those from before 2026-04-15 12:00 UTC went for the"
        " disk cap's sake.",
    )


def test_a_run_that_failed_is_a_problem_until_one_goes_through(client: Client) -> None:
    note_run(client, Run(NOW_MS - 2, NOW_MS - 2, error="no room"))
    assert looked(client).level is Level.PROBLEM
    assert "no room" in looked(client).seen
    note_run(client, Run(NOW_MS - 1, NOW_MS - 1, NOW_MS))
    assert looked(client).level is Level.OK


async def test_what_is_too_old_for_days_and_still_there_is_a_problem_where_nobody_deletes(
    dsn: str, client: Client
) -> None:
    await an_old_call(dsn, days=12)
    assert looked(client).level is Level.OK  # it has been too old since yesterday
    await an_old_call(dsn, days=13)
    assert (looked(client).level, looked(client).seen.startswith("1 versions")) == (Level.PROBLEM, True)
    at = to_milliseconds(NOW - timedelta(days=3))
    note_run(client, Run(at, at, at))
    assert "was last done 2026-04-17" in looked(client).seen
    assert looked(client, Installation(default_days=20)).level is Level.OK
    at += DAY_MS
    note_run(client, Run(at, at, at))
    assert looked(client).level is Level.OK


async def test_calls_that_were_too_old_when_they_were_reported_are_told(dsn: str, client: Client) -> None:
    await an_old_call(dsn, days=11, ingested_at=NOW_MS - 1000)
    said, told = retention_check(TEN_DAYS, lambda: NOW)(client)
    assert (said.level, told.level, told.seen.startswith("1 calls of the last day")) == (Level.OK, Level.WARNING, True)


def test_it_says_when_deletion_waits_as_the_clock_is_doubted(client: Client) -> None:
    words = Doubt(NOW_MS - 90 * DAY_MS, None).words(NOW_MS)
    note_run(client, Run(NOW_MS - 1, NOW_MS - 1, error=words))
    finding = looked(client)
    assert (finding.level, "waits since 2026-04-20" in finding.seen, "from 2026-01-20 12:00" in finding.seen) == (
        Level.PROBLEM,
        True,
        True,
    )
    assert "Is the clock right?" in finding.do


async def test_a_store_above_its_default_cap_is_told(dsn: str, client: Client) -> None:
    await an_old_call(dsn, days=1)
    told = [*retention_check(Installation(None, 1, cap_is_default=True), lambda: NOW)(client)]
    assert [finding.level for finding in told] == [Level.OK, Level.WARNING]
    assert "LLMLEDGER_RETENTION__MAX_GB" in told[1].do
    assert looked(client, Installation(None, 1)).level is Level.OK
    assert looked(client, Installation(None, 10**9, cap_is_default=True)).level is Level.OK


def test_a_key_and_an_update_that_outlive_their_call_are_not_taken_for_lost(client: Client) -> None:
    at = (to_milliseconds(system_clock()) - 5 * DAY_MS) // 1000
    client.command(
        "INSERT INTO request_keys (project, id, created_at)"
        f" SELECT 'shop', toUInt128('{int(keyed_id('k', ID_SECRET).replace('-', ''), 16)}'), fromUnixTimestamp({at})"
    )
    client.command(
        "INSERT INTO request_patches (project, id, accepted_at)"
        f" SELECT 'shop', toUInt128('{int(an_id(at * 1000, 1).replace('-', ''), 16)}'), now()"
    )
    findings = {
        days: [finding.level for _, look in row_checks(0, Installation(default_days=days)) for finding in look(client)]
        for days in (2, 10)
    }
    assert findings == {2: [Level.OK], 10: [Level.OK, Level.WARNING, Level.WARNING]}
