"""What the doctor says of the blob store beside Kafka."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus.claims import new_name
from ledger.doctor import Finding, Level
from ledger.doctor.bus import kafka_findings
from ledger.doctor.claims import claim_findings
from ledger.errors import Unavailable
from ledger.report import Claim
from ledger.settings import KafkaSection
from ledger.store.clickhouse import ClickHousePool
from tests.support.builders import A_TIME, an_id
from tests.support.chdb_fixtures import with_schema
from tests.support.events import a_delivery, an_envelope
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
async def pool(chdb_dsn: str) -> AsyncIterator[ClickHousePool]:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    yield pool
    pool.close()


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs(tmp_path.as_uri())


async def died(pool: ClickHousePool, number: int) -> str:
    """A dead letter with a body beside it; the name of that."""
    record_id = an_id(A_TIME, number)
    name = new_name(an_envelope(record_id=record_id))
    dead = a_delivery(b"", number, record_id=record_id, version=3, blob=Claim(name, 4))
    await TableQuarantine(pool, lambda: NOW, "test").put([Rejected(dead, RejectCode.BODY_INVALID, "why")])
    return name


async def test_a_blob_store_that_answers_and_lacks_nothing_is_well(pool: ClickHousePool, blobs: ObstoreBlobs) -> None:
    await blobs.put_claim(await died(pool, 1), b"body")
    (finding,) = await claim_findings(pool, blobs)
    assert finding.level is Level.OK


async def test_a_body_that_a_dead_letter_names_and_that_is_gone_is_a_problem(
    pool: ClickHousePool, blobs: ObstoreBlobs
) -> None:
    await blobs.put_claim(await died(pool, 1), b"body")
    gone = await died(pool, 2)
    (finding,) = await claim_findings(pool, blobs)
    assert finding.level is Level.PROBLEM
    assert finding.seen == f"1 bodies that dead letters name are gone, such as {gone}."


async def test_a_dead_letter_that_was_replayed_needs_its_body_no_more(
    pool: ClickHousePool, blobs: ObstoreBlobs
) -> None:
    await died(pool, 2)
    row = [1, 0, 2, 0, NOW, 1, 0, 3]
    await pool.run(lambda client: client.insert("dead_letter_replays", [row]))
    (finding,) = await claim_findings(pool, blobs)
    assert finding.level is Level.OK


async def test_a_place_that_is_not_there_is_told_from_bodies_that_are_gone(
    pool: ClickHousePool, tmp_path: Path
) -> None:
    await died(pool, 2)
    (finding,) = await claim_findings(pool, ObstoreBlobs((tmp_path / "not mounted").as_uri()))
    assert finding.level is Level.PROBLEM
    assert "is no folder" in finding.seen


class Away:
    """A blob store that does not answer."""

    async def has_claim(self, name: str) -> bool:
        raise Unavailable(f"The blob store did not find {name}.")


async def test_a_blob_store_that_does_not_answer_is_a_problem(pool: ClickHousePool) -> None:
    (finding,) = await claim_findings(pool, Away())
    assert (finding.level, "LLMLEDGER_BLOBS__URL" in finding.do) == (Level.PROBLEM, True)


async def test_a_store_without_tables_is_said_elsewhere(chdb_dsn: str, blobs: ObstoreBlobs) -> None:
    pool = ClickHousePool(chdb_dsn, threads=1)
    try:
        (finding,) = await claim_findings(pool, blobs)
    finally:
        pool.close()
    assert finding.level is Level.OK


@pytest.mark.kafka
async def test_a_topic_that_takes_less_than_the_settings_say_is_a_problem(kafka_section: KafkaSection) -> None:
    def about_size(findings: list[Finding]) -> list[Finding]:
        return [finding for finding in findings if "MAX_RECORD_BYTES" in finding.seen]

    assert about_size(await kafka_findings(kafka_section)) == []
    (finding,) = about_size(await kafka_findings(replace(kafka_section, max_record_bytes=8_000_000)))
    assert finding.level is Level.PROBLEM
