"""A record that kills the process whenever it is read: after three crashes it is a dead letter, its neighbours rows."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.bus import Record
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.sqlite_log import SqliteLog
from ledger.key_file import edit
from ledger.keys import KeyFileContent, Scope, with_new_key
from ledger.settings import KafkaSection
from ledger.store.clickhouse import ClickHousePool
from tests.support.builders import A_TIME, an_id
from tests.support.child_process import Child, start_command, succeeded
from tests.support.cluster_processes import Backends, cluster_settings
from tests.support.events import SHOP, an_entry
from tests.support.publishing import accepted
from tests.support.standalone_process import start_standalone
from workers.drivers.attempts import ENOUGH, READING, Level

pytestmark = pytest.mark.slow

KILLER = "kills whoever reads it"
ARMED = {"LLMLEDGER_FAILPOINTS": f"B0:kill~{KILLER}"}


def a_key(file: Path) -> str:
    keys: list[str] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        made = with_new_key(content, SHOP, [Scope.INGEST, Scope.QUERY], datetime.now(UTC).isoformat())
        keys.append(made.key)
        return made.content

    edit(file, add)
    return keys[0]


def records(*descriptions: str) -> Iterator[Record]:
    """Accepted entries, as ingest publishes them."""
    for number, description in enumerate(descriptions, 1):
        entry = an_entry({"description": description}, number, record_id=an_id(A_TIME, number))
        yield Record(entry.key or b"", entry.envelope or b"", entry.body or b"")


@contextmanager
def ended(child: Child) -> Iterator[Child]:
    try:
        yield child
    finally:
        child.kill()


def crash(command: list[str], home: Path, settings: dict[str, str]) -> int:
    """A start that ends by itself; its exit code."""
    with ended(start_command(command, home, settings)) as child:
        return child.process.wait(60)


@pytest.mark.kafka
@pytest.mark.clickhouse
async def test_workers_of_a_cluster_set_it_aside_and_go_on(
    tmp_path: Path, kafka_section: KafkaSection, kafka_publisher: KafkaPublisher, clickhouse_database: str
) -> None:
    settings = cluster_settings(Backends(kafka_section.bootstrap_servers, clickhouse_database), tmp_path) | {
        "LLMLEDGER_KAFKA__TOPIC": kafka_section.topic,
        "LLMLEDGER_KAFKA__PARTITIONS": str(kafka_section.partitions),
        "LLMLEDGER_KAFKA__SESSION_SECONDS": "2",
        "LLMLEDGER_BATCH__MAX_AGE_SECONDS": "0.5",
        **ARMED,
    }
    (tmp_path / "blobs").mkdir()
    succeeded(["migrate"], tmp_path, settings)
    for record in records("before", KILLER, "after"):
        await accepted(kafka_publisher, replace(record, key=b"shop/one key for all"))
    command = ["workers", "--port", "0"]
    lives = (ENOUGH[Level.TOGETHER] + ENOUGH[Level.ALONE]) // READING  # so few records are no group
    assert [crash(command, tmp_path, settings) for _ in range(lives)] == [-9] * lives
    pool = ClickHousePool(clickhouse_database, threads=1)
    with ended(start_command(command, tmp_path, settings)) as last, closing(pool):
        async with asyncio.timeout(60):
            while await descriptions(pool) != {"before", "after"}:
                assert last.process.poll() is None, last.messages()
        assert last.interrupt() == 0
    assert "killed_the_worker" in last.messages()


async def descriptions(pool: ClickHousePool) -> set[str]:
    found = await pool.run(lambda client: client.query("SELECT description FROM request_logs FINAL"))
    return {text for (text,) in found.result_rows}


async def test_standalone_sets_it_aside_and_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    key = a_key(data / "keys.json")
    log = SqliteLog(data / "log.sqlite")
    for record in records("before", KILLER, "after"):
        await log.publish(record)
    await log.close()
    lives = (ENOUGH[Level.TOGETHER] + ENOUGH[Level.ALONE]) // READING  # so few records are no group
    command = ["--data", str(data), "--port", "0"]
    assert [crash(command, tmp_path, ARMED) for _ in range(lives)] == [-9] * lives
    last = start_standalone(tmp_path, settings=ARMED)
    with ended(last.child):
        rows = last.access(key, SHOP).wait_for_requests(2)
        assert {row["id"] for row in rows} == {an_id(A_TIME, number) for number in (1, 3)}
        last.stop()
    assert "killed_the_worker" in last.child.messages()
    assert not (data / "attempt").exists()
