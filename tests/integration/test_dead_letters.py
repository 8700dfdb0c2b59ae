"""Dead letters in the store's own table: every byte of them, once each, however often they are put."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.bus import Position
from ledger.ids import ProjectId
from ledger.store import StoreBroken
from ledger.store.clickhouse import ClickHousePool, open_client
from ledger.store.erasure import drop_dead_letters
from ledger.store.migrations import available, drive, migrate
from tests.support.chdb_fixtures import with_schema
from tests.support.events import AN_ID, a_delivery
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine
from workers.quarantining import Quarantine

EVERY_BYTE = bytes(range(256))
NOW = datetime(2026, 3, 14, 15, 9, 26, 535_000, tzinfo=UTC)


@pytest.fixture
def pool(chdb_dsn: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    yield pool
    pool.close()


def a_quarantine(pool: ClickHousePool, now: datetime = NOW) -> TableQuarantine:
    return TableQuarantine(pool, lambda: now, "llmledger 1.0", "llm.requests.v1")


def a_rejected(offset: int, **changes: Any) -> Rejected:
    delivery = replace(a_delivery(b"body", offset, project=ProjectId("shop")), **changes)
    return Rejected(delivery, RejectCode.BODY_UNREADABLE, "Unreadable", "Invalid")


async def stored(pool: ClickHousePool) -> list[dict[str, Any]]:
    sql = (
        "SELECT generation, partition, offset, hex(key) key, hex(envelope) envelope, hex(body) body,"
        " body IS NULL body_is_null, headers, reason, detail, code_version, toUnixTimestamp64Milli(dead_at) dead_at,"
        " project, record_id, event_id, kind, topic, error_class, replays, size,"
        " toUnixTimestamp64Milli(first_dead_at) first_dead_at"
        " FROM dead_letters FINAL ORDER BY generation, partition, offset, replays"
    )
    return list(await pool.run(lambda client: list(client.query(sql).named_results())))


async def test_a_dead_letter_keeps_every_byte(pool: ClickHousePool) -> None:
    quarantine = a_quarantine(pool)
    assert isinstance(quarantine, Quarantine)
    item = a_rejected(
        7,
        position=Position(255, 65535, 2**64 - 1),
        key=EVERY_BYTE,
        envelope=EVERY_BYTE,
        body=EVERY_BYTE,
        headers=(("x", EVERY_BYTE),),
    )
    await quarantine.put([item])
    (row,) = await stored(pool)
    assert (row["generation"], row["partition"], row["offset"]) == (255, 65535, 2**64 - 1)
    assert row["key"] == row["envelope"] == row["body"] == EVERY_BYTE.hex().upper()
    assert [(name, b64decode(value)) for name, value in json.loads(row["headers"])] == [("x", EVERY_BYTE)]
    assert (row["reason"], row["detail"], row["code_version"]) == ("body_unreadable", "Unreadable", "llmledger 1.0")
    assert row["dead_at"] == 1773500966535


async def test_what_was_not_there_is_null(pool: ClickHousePool) -> None:
    await a_quarantine(pool).put([a_rejected(1, key=None, envelope=None, body=None), a_rejected(2, body=b"")])
    first, second = await stored(pool)
    assert (first["key"], first["envelope"], first["body"]) == (None, None, None)
    assert (first["body_is_null"], second["body_is_null"]) == (1, 0)


async def test_putting_the_same_again_after_a_crash_is_harmless(pool: ClickHousePool) -> None:
    quarantine = a_quarantine(pool)
    items = [a_rejected(offset) for offset in range(3)]
    await quarantine.put(items)
    await quarantine.put(items)
    await quarantine.put([*items[1:], a_rejected(3)])
    assert [row["offset"] for row in await stored(pool)] == [0, 1, 2, 3]


async def test_a_table_that_is_gone_is_said(pool: ClickHousePool) -> None:
    await pool.run(lambda client: client.command("DROP TABLE dead_letters SYNC"))
    with pytest.raises(StoreBroken):
        await a_quarantine(pool).put([a_rejected(1)])


async def test_a_dead_letter_says_whose_it_is_what_it_is_and_where_it_was_read(pool: ClickHousePool) -> None:
    await a_quarantine(pool).put([a_rejected(7)])
    (row,) = await stored(pool)
    assert (row["project"], row["record_id"], row["event_id"], row["kind"]) == (
        "shop",
        AN_ID,
        AN_ID,
        "openpipe.report",
    )
    assert (row["topic"], row["error_class"], row["size"], row["replays"]) == ("llm.requests.v1", "Invalid", 4, 0)


async def test_without_an_envelope_the_key_says_whose_it_is(pool: ClickHousePool) -> None:
    keys = [b"bank/x", b"\xff/x", b"no slash", None]
    await a_quarantine(pool).put([a_rejected(at, key=key, envelope=b"{") for at, key in enumerate(keys)])
    rows = await stored(pool)
    assert [row["project"] for row in rows] == ["bank", "\ufffd", "", ""]
    assert {(row["record_id"], row["kind"]) for row in rows} == {("", "")}


async def test_an_envelope_of_another_era_is_kept_like_any_other(pool: ClickHousePool) -> None:
    await a_quarantine(pool).put([a_rejected(1, envelope=b'{"version": 9}')])
    assert [row["record_id"] for row in await stored(pool)] == [""]


async def test_the_first_death_is_remembered_however_often_it_dies(pool: ClickHousePool) -> None:
    await a_quarantine(pool).put([a_rejected(1)])
    later = NOW.replace(year=2027)
    replay = {"replays": 1, "replayed_at": Position(1, 0, 90)}
    await a_quarantine(pool, later).put([a_rejected(1, **replay), a_rejected(2)])
    await a_quarantine(pool, later).put([a_rejected(1)])  # a worker that has lost its partitions writes late
    first, again, other = await stored(pool)
    assert (first["replays"], again["replays"], other["replays"]) == (0, 1, 0)
    assert first["first_dead_at"] == again["first_dead_at"] == 1773500966535
    assert other["first_dead_at"] == other["dead_at"] == again["dead_at"] > 1773500966535


async def test_dead_letters_of_an_older_schema_are_kept_with_what_can_be_told_of_them(chdb_dsn: str) -> None:
    old = [migration for migration in available() if migration[0] < 7]
    with closing(open_client(chdb_dsn)) as client:
        drive(migrate(old), client)
        client.command(
            "INSERT INTO dead_letters (generation, partition, offset, key, body, headers, reason, dead_at)"
            " VALUES (1, 0, 5, 'shop/x', 'body', '[]', 'body_invalid', '2026-03-14 15:09:26.535')"
        )
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    try:
        (row,) = await stored(pool)
    finally:
        pool.close()
    assert (row["project"], row["size"], row["replays"]) == ("shop", 4, 0)
    assert row["first_dead_at"] == row["dead_at"] == 1773500966535


async def test_an_erased_dead_letter_does_not_come_back_when_its_record_is_read_again(pool: ClickHousePool) -> None:
    quarantine = a_quarantine(pool)
    await quarantine.put([a_rejected(1), a_rejected(2)])
    await pool.run(lambda client: drop_dead_letters(client, [(1, 0, 1)]))
    await quarantine.put([a_rejected(1), a_rejected(2), a_rejected(3)])
    await quarantine.put([a_rejected(1)])
    assert [row["offset"] for row in await stored(pool)] == [2, 3]
