"""What every store promises that workers write through: what was written is read, and the newest of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields

from ledger.bus import Position
from ledger.clock import to_milliseconds
from ledger.ids import EventId, ProjectId, from_int
from ledger.instants import LATEST_STORED_MS
from ledger.patch import KeyEntry, Patch
from ledger.report import Kind
from ledger.request_log import Bodies, CostStatus, RequestLog, RowKey
from ledger.store import Identity, RequestLogStore
from ledger.store.clickhouse import ClickHouseStore
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.recording import RememberingStore

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
AWKWARD = "\0 '\"`\\N \\x00 {p:String} %s\t\r\n ä 中 😀 \u202e \u2028 NULL"
INT64_MAX, UINT64_MAX = 2**63 - 1, 2**64 - 1


@pytest.fixture(params=["remembering", "chdb", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RequestLogStore]:
    if request.param == "remembering":
        yield RememberingStore()
    else:
        yield ClickHouseStore(request.getfixturevalue(f"pool_{request.param}"))


async def write(store: RequestLogStore, *rows: RequestLog, token: str = "token") -> None:
    with_bodies = [row for row in rows if row.bodies is not None]
    await store.insert_bodies(with_bodies, token)
    await store.insert_rows(rows, token)


async def read(store: RequestLogStore, *keys: RowKey, with_bodies: bool = True) -> list[RequestLog]:
    found = await store.rows(keys, with_bodies=with_bodies)
    return sorted(found, key=lambda row: row.key.id)


def a_patch(offset: int, **changes: Any) -> Patch:
    row = a_request_log()
    patch = Patch(
        project=SHOP,
        id=row.id,
        position=Position(1, 0, offset),
        event_id=EventId(an_id(A_TIME, 100 + offset)),
        kind=Kind.LOG_UPDATE,
        accepted_at=A_TIME + offset,
        price_version="2026-03-14",
        body_hash="hash",
        body='{"description":"a"}',
    )
    return replace(patch, **changes)


def a_key_entry(offset: int, **changes: Any) -> KeyEntry:
    return replace(KeyEntry(SHOP, an_id(A_TIME, 1), Position(1, 0, offset), A_TIME, f"hash {offset}"), **changes)


def a_full_row() -> RequestLog:
    """A row with another value in every field than a field has by default, awkward where it can be."""
    row = RequestLog(
        project=ProjectId(AWKWARD),
        created_at=A_TIME,
        id=from_int(2**128 - 1),
        version=UINT64_MAX,
        position=Position(255, 65535, UINT64_MAX),
        source="pezzo",
        ingested_at=A_TIME + 1,
        updated_at=A_TIME + 2,
        requested_at=0,
        received_at=LATEST_STORED_MS,
        duration_ms=1e-9,
        ttft_ms=INT64_MAX,
        status_code=-(2**31),
        is_error=True,
        streamed=True,
        cached=True,
        metadata=((AWKWARD, AWKWARD), ("empty", "")),
        cost_status=CostStatus.PROVIDED,
        media_hashes=("a" * 64, AWKWARD),
        bodies=Bodies(**{field.name: f"{field.name} {AWKWARD}" for field in fields(Bodies)}),
    )
    texts = {field.name: f"{field.name} {AWKWARD}" for field in fields(row) if "str" in str(field.type)}
    numbers = {field.name: INT64_MAX for field in fields(row) if field.type == int | None}
    unset: dict[str, Any] = {
        name: value for name, value in (texts | numbers).items() if getattr(row, name) in (None, "")
    }
    return msgspec.structs.replace(row, **unset)


def test_it_is_a_store(store: RequestLogStore) -> None:
    assert isinstance(store, RequestLogStore)


async def test_it_answers(store: RequestLogStore) -> None:
    await store.ping()


async def test_every_column_keeps_what_was_written(store: RequestLogStore) -> None:
    row = a_full_row()
    assert [field.name for field in fields(row) if getattr(row, field.name) in (None, "", ())] == []
    await write(store, row)
    assert await read(store, row.key) == [row]
    assert await read(store, row.key, with_bodies=False) == [msgspec.structs.replace(row, bodies=None)]


async def test_what_is_unknown_stays_unknown(store: RequestLogStore) -> None:
    row = RequestLog(
        project=SHOP,
        created_at=A_TIME,
        id=an_id(A_TIME, 1),
        version=1,
        source="openpipe",
        ingested_at=A_TIME,
        updated_at=A_TIME,
        requested_at=A_TIME,
        bodies=Bodies(),
    )
    await write(store, row)
    assert await read(store, row.key) == [row]


async def test_an_empty_text_is_not_an_unknown_one_where_that_can_differ(store: RequestLogStore) -> None:
    row = a_request_log(description="", error="", bodies=Bodies(prompt="", completion="", raw_request=""))
    await write(store, row)
    assert await read(store, row.key) == [row]


async def test_zero_and_false_are_no_unknowns(store: RequestLogStore) -> None:
    zeros = {"duration_ms": 0.0, "input_tokens": 0, "cost": 0, "cost_provided": 0, "status_code": 0, "ttft_ms": 0}
    row = a_request_log(**zeros, received_at=0)
    await write(store, row)
    assert await read(store, row.key) == [row]


async def test_large_texts_are_kept(store: RequestLogStore) -> None:
    row = a_request_log(bodies=Bodies(raw_response="😀" * 1_000_000))
    await write(store, row)
    assert await read(store, row.key) == [row]


async def test_the_first_and_the_last_storable_time_are_kept(store: RequestLogStore) -> None:
    times = [0, LATEST_STORED_MS]
    rows = [a_request_log(created_at=at, ingested_at=at, updated_at=at, requested_at=at) for at in times]
    await write(store, *rows)
    assert await read(store, *(row.key for row in rows)) == rows


async def test_the_highest_version_of_a_row_counts_in_whatever_order_they_come(store: RequestLogStore) -> None:
    first = a_request_log(version=1)
    later = msgspec.structs.replace(
        first, version=3, description="later", bodies=Bodies(prompt="later"), prompt_preview="later"
    )
    between = msgspec.structs.replace(first, version=2, description="between", bodies=Bodies(prompt="between"))
    for number, row in enumerate((first, later, between)):
        await write(store, row, token=f"token {number}")
    assert await read(store, first.key) == [later]


async def test_a_row_without_bodies_keeps_those_it_had(store: RequestLogStore) -> None:
    first = a_request_log(version=1)
    later = msgspec.structs.replace(first, version=2, description="later", bodies=None)
    await write(store, first)
    await write(store, later, token="other")
    assert await read(store, first.key) == [msgspec.structs.replace(later, bodies=first.bodies)]


async def test_a_deleted_row_is_not_returned(store: RequestLogStore) -> None:
    row, kept = a_request_log(id=an_id(A_TIME, 1)), a_request_log(id=an_id(A_TIME, 2))
    await write(store, row, kept)
    await write(store, msgspec.structs.replace(row, version=2, is_deleted=True), token="other")
    assert await read(store, row.key, kept.key) == [kept]


async def test_a_key_without_a_row_gives_none(store: RequestLogStore) -> None:
    row = a_request_log()
    await write(store, row)
    others = [replace(row.key, project=BANK), replace(row.key, id=an_id(A_TIME, 2))]
    assert await read(store, *others) == []
    assert await read(store, row.key, *others) == [row]


async def test_the_same_id_in_two_projects_is_two_rows(store: RequestLogStore) -> None:
    rows = [a_request_log(project=project, description=project) for project in (SHOP, BANK)]
    await write(store, *rows)
    for row in rows:
        assert await read(store, row.key) == [row]


async def test_rows_of_many_months_go_in_together(store: RequestLogStore) -> None:
    months = [to_milliseconds(datetime(2024 + month // 12, month % 12 + 1, 28, tzinfo=UTC)) for month in range(18)]
    rows = [a_request_log(created_at=at) for at in months]
    await write(store, *rows)
    assert await read(store, *(row.key for row in rows)) == rows


async def test_more_rows_than_a_look_up_takes_are_found(store: RequestLogStore) -> None:
    light = a_request_log(bodies=None)
    rows = [
        msgspec.structs.replace(light, id=an_id(A_TIME + number, number), created_at=A_TIME + number)
        for number in range(2500)
    ]
    await write(store, *rows)
    assert await read(store, *(row.key for row in rows), with_bodies=False) == rows


async def test_an_insert_that_is_repeated_under_its_token_is_harmless(store: RequestLogStore) -> None:
    row, patch, entry = a_request_log(), a_patch(1), a_key_entry(1)
    for _ in range(3):
        await store.insert_key_entries([entry], "token")
        await store.insert_patches([patch], "token")
        await write(store, row)
    assert await read(store, row.key) == [row]
    assert await store.patches([(SHOP, patch.id)]) == [patch]
    assert await store.key_entries([(SHOP, entry.id)]) == [entry]


async def test_rows_that_are_written_again_in_another_batch_are_there_once(store: RequestLogStore) -> None:
    rows = [a_request_log(id=an_id(A_TIME, number)) for number in range(4)]
    await write(store, *rows[:3], token="first")
    await write(store, *rows[1:], token="second")
    assert await read(store, *(row.key for row in rows)) == rows


async def test_patches_come_in_the_order_of_their_positions(store: RequestLogStore) -> None:
    places = [Position(1, 0, 1), Position(1, 0, 2), Position(2, 0, 0), Position(2, 0, 2**40 - 1)]
    patches = [a_patch(number, position=place) for number, place in enumerate(places)]
    await store.insert_patches([patches[2], patches[0]], "a")
    await store.insert_patches([patches[3], patches[1]], "b")
    assert await store.patches([(SHOP, patches[0].id)]) == patches


async def test_a_patch_keeps_everything(store: RequestLogStore) -> None:
    patch = a_patch(
        1, project=ProjectId(AWKWARD), body=AWKWARD, price_version=AWKWARD, body_hash="ä", event_id=from_int(2**128 - 1)
    )
    await store.insert_patches([patch], "token")
    assert await store.patches([(patch.project, patch.id)]) == [patch]


async def test_of_one_patch_that_with_the_most_voidings_counts(store: RequestLogStore) -> None:
    patch = a_patch(1)
    voided, restored = replace(patch, voidings=1), replace(patch, voidings=2)
    await store.insert_patches([patch], "a")
    await store.insert_patches([voided], "b")
    assert await store.patches([(SHOP, patch.id)]) == [voided]
    assert voided.is_voided
    await store.insert_patches([patch], "written again")
    assert await store.patches([(SHOP, patch.id)]) == [voided]
    await store.insert_patches([restored], "c")
    assert await store.patches([(SHOP, patch.id)]) == [restored]
    assert not restored.is_voided


async def test_patches_of_other_ids_and_projects_are_not_given(store: RequestLogStore) -> None:
    other_id, other_project = a_patch(1, id=an_id(A_TIME, 2)), a_patch(2, project=BANK)
    await store.insert_patches([a_patch(3), other_id, other_project], "token")
    assert await store.patches([(SHOP, other_id.id)]) == [other_id]
    assert await store.patches([(BANK, other_project.id)]) == [other_project]


async def test_patches_of_many_months_and_ids_go_in_and_come_out_together(store: RequestLogStore) -> None:
    month = 31 * 24 * 3600 * 1000
    patches = [
        a_patch(number, id=an_id(A_TIME, number), accepted_at=A_TIME + number % 3 * month) for number in range(2500)
    ]
    await store.insert_patches(patches, "token")
    wanted: set[Identity] = {(SHOP, patch.id) for patch in patches}
    assert await store.patches(wanted) == patches


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_patch_is_found_wherever_its_record_stands_among_those_that_are_asked_for(
    store: RequestLogStore, number: int
) -> None:
    asked: list[Identity] = [(SHOP, an_id(A_TIME, number)) for number in range(3)]
    patch = a_patch(1, id=asked[number][1])
    await store.insert_patches([patch, a_patch(2, id=an_id(A_TIME, 9))], "token")
    assert await store.patches(asked) == [patch]
    assert await store.patches([one for one in asked if one != asked[number]]) == []
    assert await store.patches([(BANK, id_) for _, id_ in asked]) == []


async def test_key_entries_come_in_the_order_of_their_positions(store: RequestLogStore) -> None:
    first, later = a_key_entry(1), a_key_entry(2, created_at=A_TIME + 40 * 24 * 3600 * 1000)
    await store.insert_key_entries([later], "a")
    await store.insert_key_entries([first], "b")
    assert await store.key_entries([(SHOP, first.id)]) == [first, later]
    assert await store.key_entries([(BANK, first.id)]) == []


async def test_asking_for_nothing_gives_nothing(store: RequestLogStore) -> None:
    assert await store.key_entries([]) == []
    assert await store.patches([]) == []
    assert await store.rows([], with_bodies=True) == []


async def test_progress_is_kept_however_often_it_is_written(store: RequestLogStore) -> None:
    for offset in (5, 9, 7):
        await store.insert_progress([Position(1, 0, offset), Position(1, 3, offset + 1)])
    if isinstance(store, ClickHouseStore):
        assert await store.highest_offset(1) == 10
