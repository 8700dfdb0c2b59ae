"""The doctor: says what is wrong with a part, and what to do about it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.bus import Position
from ledger.doctor import Finding, Level, as_json
from ledger.doctor.bus import kafka_findings
from ledger.doctor.machine import key_file_findings, version_findings
from ledger.doctor.store import folder_findings, store_findings
from ledger.ids import EventId, ProjectId
from ledger.patch import KeyEntry
from ledger.settings import KafkaSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from tests.contract.test_store import a_patch
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.kafka_settings import free_port
from tests.support.query_service import keys_in


@pytest.fixture
def pool(chdb_schema_dsn: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(chdb_schema_dsn, threads=1)
    try:
        yield pool
    finally:
        pool.close()


def of(part: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.part == part]


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is not Level.OK]


def test_a_store_that_is_well_has_nothing_to_do(pool: ClickHousePool) -> None:
    findings = store_findings(pool)
    assert bad([finding for finding in findings if not finding.part.startswith("disk ")]) == []
    assert {finding.part for finding in findings} >= {"store", "schema", "clock", "parts", "dead letters", "rows"}


def test_a_store_that_is_away_is_one_problem_with_its_remedy() -> None:
    pool = ClickHousePool(f"http://127.0.0.1:{free_port()}/default", threads=1)
    try:
        (finding,) = store_findings(pool)
    finally:
        pool.close()
    assert (finding.part, finding.level) == ("store", Level.PROBLEM)
    assert "LLMLEDGER_STORE__DSN" in finding.do


def test_a_store_without_tables_needs_the_migrations(chdb_dsn: str) -> None:
    pool = ClickHousePool(chdb_dsn, threads=1)
    try:
        (schema,) = of("schema", store_findings(pool))
    finally:
        pool.close()
    assert (schema.level, schema.do) == (Level.PROBLEM, "Run: llmledger migrate")


async def test_an_id_with_two_rows_is_found(pool: ClickHousePool) -> None:
    store = ClickHouseStore(pool)
    row = a_request_log(project=ProjectId("twice"))
    await store.insert_rows([row, replace(row, created_at=row.created_at + 1)], "twice")
    (rows,) = of("rows", store_findings(pool, everything=True))
    assert (rows.level, rows.seen) == (Level.PROBLEM, "1 ids have two rows.")


async def test_updates_and_keys_without_a_row_are_found(pool: ClickHousePool) -> None:
    store, project, id_ = ClickHouseStore(pool), ProjectId("waiting"), an_id(A_TIME, 77)
    await store.insert_patches([a_patch(1, project=project, id=id_, event_id=EventId(an_id(A_TIME, 78)))], "p")
    await store.insert_key_entries([KeyEntry(project, id_, Position(1, 0, 2), A_TIME, "hash")], "k")
    findings = store_findings(pool, everything=True)
    assert [of(part, findings)[0].level for part in ("updates", "idempotency keys")] == [Level.WARNING] * 2


@pytest.mark.kafka
async def test_a_topic_that_is_missing_or_was_never_read_is_told(kafka_section: KafkaSection) -> None:
    missing = await kafka_findings(replace(kafka_section, topic="not-there"))
    assert [finding.do for finding in bad(missing)] == ["Run: llmledger topics ensure"]
    (unread,) = bad(await kafka_findings(kafka_section))
    assert unread.do == "Start: llmledger workers"


@pytest.mark.kafka
async def test_a_topic_with_another_number_of_partitions_is_told(kafka_section: KafkaSection) -> None:
    (finding,) = bad(await kafka_findings(replace(kafka_section, partitions=9)))
    assert (finding.part, "LLMLEDGER_KAFKA__PARTITIONS" in finding.do) == ("topic", True)


async def test_kafka_that_is_away_is_a_problem_with_its_remedy() -> None:
    (finding,) = await kafka_findings(KafkaSection(f"127.0.0.1:{free_port()}"))
    assert finding.level is Level.PROBLEM
    assert "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS" in finding.do


def test_a_key_file_that_others_may_read_is_worth_a_word(tmp_path: Path) -> None:
    file = keys_in(tmp_path).file
    file.chmod(0o644)
    (finding,) = bad(key_file_findings(file))
    assert finding.do == f"Run: chmod 600 {file}"
    file.chmod(0o600)
    assert bad(key_file_findings(file)) == []


def test_a_missing_key_file_is_a_problem(tmp_path: Path) -> None:
    (finding,) = key_file_findings(tmp_path / "keys.json")
    assert finding.level is Level.PROBLEM


def test_versions_and_room_are_told(tmp_path: Path) -> None:
    assert "SQLite" in version_findings()[0].seen
    assert "GiB" in folder_findings(tmp_path)[0].seen


def test_findings_travel_as_json() -> None:
    finding = Finding("disk", Level.WARNING, "full", "Make room.")
    (value,) = as_json([finding])
    assert Finding.from_json(value) == finding
