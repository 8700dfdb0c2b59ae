"""`/api/v1/admin/delete` and `/deletions` over the tables: what a dry run counts, and when a deletion is applied."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from clickhouse_connect.driver import Client

from ledger.bus import Position
from ledger.clock import system_clock
from ledger.deletion import Deletion, Scope
from ledger.ids import EventId, ProjectId, RecordId, plain_id
from ledger.keys import KeyRing
from ledger.store.clickhouse import insert
from ledger.store.columns import DELETION_COLUMNS
from query_api.admin.deletions import counting
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.events import a_delivery
from tests.support.query_service import QueryService
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine

SHOP = ProjectId("shop")
EVENT = EventId(an_id(A_TIME, 99))
ANNS = b'{"user": "ann"}'


@pytest.fixture
async def own(service: QueryService) -> AsyncIterator[QueryService]:
    yield service
    for table in ("dead_letters", "request_deletions", "bus_progress"):
        await service.pool.run(lambda client, t=table: client.command(f"TRUNCATE TABLE {t}"))  # type: ignore[misc]


async def died(own: QueryService, offset: int, body: bytes, **envelope: Any) -> None:
    envelope = {"project": SHOP, "record_id": an_id(A_TIME, offset), **envelope}
    dead = Rejected(a_delivery(body, offset, **envelope), RejectCode.BODY_UNREADABLE, "Unreadable")
    await TableQuarantine(own.pool, system_clock, "test").put([dead])


async def counted(own: QueryService, **what: Any) -> dict[str, Any]:
    async with own.http() as client:
        body, headers = {**what, "dry_run": True}, {"Authorization": own.keys.admin}
        answer = await client.post("/api/v1/admin/delete", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def test_a_dry_run_counts_the_records_and_the_dead_letters_that_would_go(own: QueryService) -> None:
    await own.add(a_request_log(id=an_id(A_TIME, 1), user_id="ann"), a_request_log(id=an_id(A_TIME, 2), user_id="bob"))
    await died(own, 1, b"of a record of hers")
    await died(own, 2, b"of a record of his")
    await died(own, 3, gzip.compress(ANNS))
    await died(own, 4, b'{"user": "bob", "text": "ann"}')
    await died(own, 5, ANNS, project=ProjectId("bank"))
    assert await counted(own, user_id="ann") == {"project": "shop", "matching": 1, "dead_letters": 2}
    assert await counted(own, filter={"user_id": "bob"}) == {"project": "shop", "matching": 1, "dead_letters": 1}
    assert await counted(own, user_id="nobody") == {"project": "shop", "matching": 0, "dead_letters": 0}


async def test_a_dry_run_for_a_record_counts_its_own_dead_letters(own: QueryService) -> None:
    record_id = RecordId(plain_id(A_TIME, KeyRing(own.keys.file).id_secret(SHOP)))
    await died(own, 1, b"its", record_id=record_id)
    await died(own, 2, b"another's")
    assert await counted(own, id=record_id) == {"project": "shop", "matching": 0, "dead_letters": 1}


async def test_too_many_dead_letters_to_look_at_are_not_counted_as_none(own: QueryService) -> None:
    def many(client: Client) -> None:
        client.command(
            "INSERT INTO dead_letters (generation, partition, offset, project, dead_at)"
            f" SELECT 1, 0, number, 'shop', now() FROM numbers({counting.MOST_DEAD_LETTERS + 1})"
        )

    await own.pool.run(many)
    assert await counted(own, user_id="ann") == {"project": "shop", "matching": 0, "dead_letters": None}


async def status(own: QueryService) -> dict[str, Any]:
    answer = await own.get("/api/v1/admin/deletions", own.keys.admin)
    (one,) = answer.json()["deletions"]
    content: dict[str, Any] = one
    return content


async def test_a_deletion_is_applied_by_the_partitions_to_which_it_went(own: QueryService) -> None:
    async def applied(at: Position, partitions: int) -> tuple[str, dict[str, int]]:
        deletion = Deletion(SHOP, EVENT, at, Scope.USER, "ann", A_TIME, found=1, applied=True, partitions=partitions)
        await own.pool.run(
            lambda client: insert(client, "request_deletions", DELETION_COLUMNS, [deletion], str(deletion))
        )
        await own.store.insert_progress([at])
        found = await status(own)
        return found["state"], found["partitions"]

    first = Position(1, 0, 7)
    assert await applied(first, 2) == ("waiting", {"settled": 1, "of": 2})
    assert await applied(replace(first, generation=2), 3) == ("waiting", {"settled": 1, "of": 3})
    assert await applied(replace(first, partition=1), 2) == ("applied", {"settled": 2, "of": 2})
    assert (await status(own))["records"] == 3
