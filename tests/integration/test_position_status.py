"""`GET /api/v1/status`: whether what was accepted at a position can be read by now."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.bus import Delivery, Position
from ledger.clock import system_clock
from tests.support.query_service import QueryService, query_service
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine


@pytest.fixture(scope="module")
def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryService]:
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("status")) as service:
        yield service


async def status_of(service: QueryService, position: str, key: str | None = None, **query: str) -> str:
    answer = await service.get("/api/v1/status", key, position=position, **query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["position"] == position
    return str(answer.json()["status"])


async def test_what_no_worker_has_settled_is_waited_for(service: QueryService) -> None:
    assert await status_of(service, "7-0-1") == "waiting"


async def test_everything_up_to_the_settled_position_is_visible(service: QueryService) -> None:
    await service.store.insert_progress([Position(1, 3, 20)])
    found = [await status_of(service, text, wait="5") for text in ("1-3-0", "1-3-20")]
    assert found == ["visible", "visible"]
    assert [await status_of(service, text) for text in ("1-3-21", "1-4-20", "2-3-20")] == ["waiting"] * 3


async def test_a_caller_can_wait_until_it_is(service: QueryService) -> None:
    asked = asyncio.create_task(status_of(service, "1-9-5", wait="20"))
    await service.store.insert_progress([Position(1, 9, 5)])
    assert await asked == "visible"


async def test_a_wait_ends_without_an_answer_when_its_time_is_over(service: QueryService) -> None:
    assert await status_of(service, "1-8-5", wait="0.01") == "waiting"


async def test_nobody_waits_when_the_process_ends(service: QueryService) -> None:
    service.app.state.stopping.set()
    try:
        assert await status_of(service, "1-8-6", wait="30") == "waiting"
    finally:
        service.app.state.stopping = asyncio.Event()


async def test_a_dead_letter_is_told_to_its_own_project_only(service: QueryService) -> None:
    place = Position(1, 6, 4)
    delivery = Delivery(place, b"shop/0190a0b0-0000-7000-8000-000000000001", None, b"{")
    quarantine = TableQuarantine(service.pool, system_clock, "test")
    await quarantine.put([Rejected(delivery, RejectCode.ENVELOPE_UNREADABLE, "x")])
    await service.store.insert_progress([place])
    assert await status_of(service, place.text, wait="5") == "dead_letter"
    assert await status_of(service, place.text, service.keys.bank) == "visible"
    assert await status_of(service, place.text, service.keys.everything) == "dead_letter"


async def test_a_dead_letter_that_was_replayed_is_visible_once_its_copy_is_settled(service: QueryService) -> None:
    place, copy = Position(1, 5, 4), Position(1, 5, 9)
    delivery = Delivery(place, b"shop/0190a0b0-0000-7000-8000-000000000001", None, b"{")
    quarantine = TableQuarantine(service.pool, system_clock, "test")
    await quarantine.put([Rejected(delivery, RejectCode.ENVELOPE_UNREADABLE, "x")])
    await service.store.insert_progress([place])
    assert await status_of(service, place.text, wait="5") == "dead_letter"
    mark = f"INSERT INTO dead_letter_replays VALUES (1, 5, 4, 0, now64(3), 1, 5, {copy.offset})"
    await service.pool.run(lambda client: client.command(mark))
    assert await status_of(service, place.text) == "waiting"
    await service.store.insert_progress([copy])
    assert await status_of(service, copy.text, wait="5") == "visible"
    assert await status_of(service, place.text) == "visible"
    died_again = replace(delivery, replayed_at=copy, replays=1)
    await quarantine.put([Rejected(died_again, RejectCode.ENVELOPE_UNREADABLE, "x")])
    assert await status_of(service, place.text) == "dead_letter"


async def test_a_key_that_only_writes_may_ask_too(service: QueryService) -> None:
    assert await status_of(service, "7-0-1", service.keys.ingest_only) == "waiting"


@pytest.mark.parametrize("key", ["", "llmledger_live_none_none_00000000"])
async def test_without_a_key_nothing_is_said(service: QueryService, key: str) -> None:
    assert (await service.get("/api/v1/status", key, position="1-0-1")).status_code == 401


@pytest.mark.parametrize("position", ["", "1-0", "1-0-x", "300-0-1", "1-0-99999999999999"])
async def test_what_is_no_position_is_refused(service: QueryService, position: str) -> None:
    answer = await service.get("/api/v1/status", position=position)
    assert (answer.status_code, "position" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("wait", ["-1", "31", "soon", "nan", "inf"])
async def test_a_wait_has_bounds(service: QueryService, wait: str) -> None:
    answer = await service.get("/api/v1/status", position="1-0-1", wait=wait)
    assert (answer.status_code, "wait" in answer.json()["error"]) == (400, True)


def test_positions_are_read_back_as_they_were_told(tmp_path: Path) -> None:
    position = Position(255, 65535, 2**40 - 1)
    assert Position.from_text(position.text) == position
