"""The doctor: says what is wrong with a part, and what to do about it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from clickhouse_connect.driver import Client

from ledger.bus import Position
from ledger.clock import system_clock
from ledger.doctor import Finding, Level, as_json, ok
from ledger.doctor.bus import kafka_findings
from ledger.doctor.machine import key_file_findings, version_findings
from ledger.doctor.store import folder_findings, store_findings
from ledger.doctor.store_looks import LOOK_MEMORY_BYTES, LOOK_SECONDS, found, one
from ledger.ids import EventId, ProjectId
from ledger.patch import KeyEntry
from ledger.settings import KafkaSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from query_api.admin.dead_letters.finding import waiting_dead_letters
from tests.contract.test_store import a_patch
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.events import a_delivery
from tests.support.kafka_settings import free_port
from tests.support.query_service import keys_in
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine

DEAD_LETTERS = ("dead letters", waiting_dead_letters)


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


async def test_a_store_that_is_well_has_nothing_to_do(pool: ClickHousePool) -> None:
    findings = await store_findings(pool, also=[DEAD_LETTERS])
    assert bad([finding for finding in findings if not finding.part.startswith("disk ")]) == []
    assert {finding.part for finding in findings} >= {"store", "schema", "clock", "parts", "dead letters", "rows"}


async def test_a_store_that_is_away_is_one_problem_with_its_remedy() -> None:
    pool = ClickHousePool(f"http://127.0.0.1:{free_port()}/default", threads=1)
    try:
        (finding,) = await store_findings(pool, also=[DEAD_LETTERS])
    finally:
        pool.close()
    assert (finding.part, finding.level) == ("store", Level.PROBLEM)
    assert "LLMLEDGER_STORE__DSN" in finding.do


async def test_a_store_without_tables_needs_the_migrations(chdb_dsn: str) -> None:
    pool = ClickHousePool(chdb_dsn, threads=1)
    try:
        (schema,) = of("schema", await store_findings(pool))
    finally:
        pool.close()
    assert (schema.level, schema.do) == (Level.PROBLEM, "Run: llmledger migrate")


async def test_an_id_with_two_rows_is_found(pool: ClickHousePool) -> None:
    store = ClickHouseStore(pool)
    row = a_request_log(project=ProjectId("twice"))
    await store.insert_rows([row, msgspec.structs.replace(row, created_at=row.created_at + 1)], "twice")
    (rows,) = of("rows", await store_findings(pool, everything=True))
    assert (rows.level, rows.seen) == (Level.PROBLEM, "1 ids have two rows.")


async def test_updates_and_keys_without_a_row_are_found(pool: ClickHousePool) -> None:
    store, project, id_ = ClickHouseStore(pool), ProjectId("waiting"), an_id(A_TIME, 77)
    await store.insert_patches([a_patch(1, project=project, id=id_, event_id=EventId(an_id(A_TIME, 78)))], "p")
    await store.insert_key_entries([KeyEntry(project, id_, Position(1, 0, 2), A_TIME, "hash")], "k")
    await store.insert_rows([a_request_log(project=project, id=an_id(A_TIME, 79))], "another row")
    findings = await store_findings(pool, everything=True)
    assert [of(part, findings)[0].level for part in ("updates", "idempotency keys")] == [Level.WARNING] * 2
    assert all("1 " in of(part, findings)[0].seen for part in ("updates", "idempotency keys"))
    recent = await store_findings(pool)
    assert of("updates", recent) == of("idempotency keys", recent) == []
    await store.insert_rows([a_request_log(project=project, id=id_)], "the row")
    findings = await store_findings(pool, everything=True)
    assert of("updates", findings) == of("idempotency keys", findings) == []


@pytest.mark.parametrize("cap", ["max_memory_usage = 1000000", "max_rows_to_read = 1"])
async def test_what_costs_too_much_to_look_at_is_told_apart_and_the_rest_is_looked_at(
    pool: ClickHousePool, cap: str
) -> None:
    def costly(client: Client) -> Iterator[Finding]:
        yield ok("costly", str(one(client, f"SELECT groupArray(number) FROM numbers(1000000) SETTINGS {cap}")))

    findings = await store_findings(pool, also=[("costly", costly)])
    (finding,) = of("costly", findings)
    assert finding.level is Level.WARNING
    assert "Try again" in finding.do
    assert findings.index(finding) < findings.index(of("rows", findings)[0])
    assert [finding.level for finding in findings if finding.part in {"store", "rows"}] == [Level.OK] * 2


async def test_every_look_is_capped(pool: ClickHousePool) -> None:
    sql = "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')"
    assert await pool.run(lambda client: found(client, sql)) == [(LOOK_SECONDS, LOOK_MEMORY_BYTES)]


async def test_dead_letters_are_told_while_they_wait_and_counted_once(pool: ClickHousePool) -> None:
    quarantine = TableQuarantine(pool, system_clock, "test", "topic")
    delivery = a_delivery(b"{}", 7)
    await quarantine.put([Rejected(delivery, RejectCode.BODY_INVALID, "why")])
    (waiting,) = of("dead letters", await store_findings(pool, also=[DEAD_LETTERS]))
    assert (waiting.level, waiting.seen) == (Level.WARNING, "1 body_invalid wait.")
    again = replace(delivery, replays=1, replayed_at=Position(1, 0, 9))
    await quarantine.put([Rejected(again, RejectCode.ROW_REFUSED, "why")])
    (waiting,) = of("dead letters", await store_findings(pool, also=[DEAD_LETTERS]))
    assert waiting.seen == "1 row_refused wait."
    mark = "INSERT INTO dead_letter_replays VALUES (1, 0, 7, 1, now64(3), 1, 0, 9)"
    await pool.run(lambda client: client.command(mark))
    (done,) = of("dead letters", await store_findings(pool, also=[DEAD_LETTERS]))
    assert done.level is Level.OK


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
