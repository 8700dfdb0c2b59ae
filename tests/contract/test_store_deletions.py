"""What every store promises about deletions: which rows one means, and what is remembered of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from ledger.bus import Position
from ledger.bus.kafka_records import partition_of
from ledger.deletion import Deletion, Portion, Scope
from ledger.ids import EventId, ProjectId
from ledger.patch import Patch
from ledger.report import Kind, bus_key
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.store import RequestLogStore
from ledger.store.clickhouse import ClickHouseStore
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.recording import RememberingStore

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
EVERYTHING = Portion(1000)
FROM_THE_START = [Position(0, 0, 0)]


@pytest.fixture(params=["remembering", "chdb", pytest.param("clickhouse", marks=pytest.mark.clickhouse)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RequestLogStore]:
    if request.param == "remembering":
        yield RememberingStore()
    else:
        yield ClickHouseStore(request.getfixturevalue(f"pool_{request.param}"))


def a_deletion(**changes: Any) -> Deletion:
    at = Position(2, 1, 100)
    return replace(Deletion(SHOP, EventId(an_id(A_TIME, 77)), at, Scope.USER, "user:1", A_TIME + 50), **changes)


def a_filter(text: str) -> Deletion:
    return a_deletion(scope=Scope.FILTER, what=text)


def a_row(number: int, offset: int = 5, **changes: Any) -> RequestLog:
    place = changes.pop("position", Position(2, 1, offset))
    return a_request_log(id=an_id(A_TIME, number), position=place, **changes)


async def write(store: RequestLogStore, *rows: RequestLog) -> None:
    token = ",".join(f"{row.id}@{row.version}" for row in rows)
    await store.insert_bodies(rows, token)
    await store.insert_rows(rows, token)


async def found(store: RequestLogStore, deletion: Deletion, portion: Portion = EVERYTHING) -> list[int]:
    return [int(key.id[-4:], 16) for key in await store.matching(deletion, portion)]


async def test_a_user_means_the_rows_of_that_user_in_that_project(store: RequestLogStore) -> None:
    await write(store, a_row(1), a_row(2, user_id="user:2"), a_row(3, project=BANK), a_row(4, user_id=None), a_row(5))
    assert await found(store, a_deletion()) == [1, 5]
    assert await store.matching(a_deletion(), EVERYTHING) == [
        RowKey(SHOP, A_TIME, an_id(A_TIME, number)) for number in (1, 5)
    ]


async def test_a_filter_means_what_a_list_shows_for_it(store: RequestLogStore) -> None:
    dev = a_row(3, metadata=(("env", "dev"),))
    await write(store, a_row(1), a_row(2, status_code=500), dev, a_row(4, bodies=Bodies(completion="secret")))
    rule = '{"combinator":"and","rules":[{"field":"%s","operator":"%s","value":%s}]}'
    assert await found(store, a_filter(rule % ("status", ">=", "500"))) == [2]
    assert await found(store, a_filter(rule % ("x-metadata-env", "=", '"dev"'))) == [3]
    assert await found(store, a_filter(rule % ("completion", "contains", '"secret"'))) == [4]
    assert await found(store, a_filter('{"status": 200, "user_id": "user:1"}')) == [1, 3, 4]


async def test_only_what_was_last_changed_before_the_deletion_in_its_partition_is_meant(store: RequestLogStore) -> None:
    places = [Position(2, 1, 99), Position(2, 1, 100), Position(2, 1, 101), Position(2, 0, 5), Position(3, 1, 5)]
    await write(store, *(a_row(number, position=place) for number, place in enumerate(places, 1)))
    assert await found(store, a_deletion()) == [1]
    ids = [an_id(A_TIME, number) for number in range(1, 6)]
    assert await found(store, a_deletion(), Portion(1000, among=ids)) == [1]


@pytest.mark.parametrize("partitions", [1, 3, 12])
async def test_rows_of_an_earlier_generation_are_shared_out_by_the_partitions_of_their_keys(
    store: RequestLogStore, partitions: int
) -> None:
    rows = [a_row(number, position=Position(1, number % 2, 10**6)) for number in range(1, 25)]
    await write(store, *rows)
    shares = [
        await found(store, a_deletion(position=Position(2, own, 0)), Portion(1000, partitions=partitions))
        for own in range(partitions)
    ]
    assert sorted(chain.from_iterable(shares)) == list(range(1, 25))
    for own, share in enumerate(shares):
        assert all(partition_of(bus_key(SHOP, an_id(A_TIME, number)), partitions) == own for number in share)
    own_ids = [row.id for row in rows[:3]]
    assert await found(store, a_deletion(), Portion(1000, among=own_ids)) == [1, 2, 3]


async def test_what_is_meant_comes_in_steps_in_the_order_of_keys(store: RequestLogStore) -> None:
    month = 31 * 24 * 3600 * 1000
    early = a_request_log(created_at=A_TIME - month, position=Position(2, 1, 50))
    await write(store, early, *(a_row(number) for number in range(1, 6)))
    steps: list[list[RowKey]] = []
    portion = Portion(2)
    while keys := await store.matching(a_deletion(), portion):
        steps.append(keys)
        portion = replace(portion, after=keys[-1])
    assert [len(step) for step in steps] == [2, 2, 2]
    assert await store.matching(a_deletion(), Portion(2, sparing=True)) == steps[0]
    keys = list(chain.from_iterable(steps))
    assert [key.created_at for key in keys] == [A_TIME - month] + [A_TIME] * 5
    assert len(set(keys)) == 6


async def test_only_the_current_row_counts_and_a_deleted_one_is_not_meant_nor_read(store: RequestLogStore) -> None:
    await write(store, a_row(1), a_row(2), a_row(3, user_id="user:2"))
    dead = a_row(1, version=2, is_deleted=True, bodies=Bodies())
    await write(store, dead, a_row(2, version=2, user_id="user:2"), a_row(3, version=2))
    assert await found(store, a_deletion()) == [3]
    assert await store.rows([dead.key], with_bodies=True) == []


async def test_of_copies_of_a_deletion_that_which_is_further_is_remembered(store: RequestLogStore) -> None:
    begun = a_deletion(partitions=12)
    applied = replace(begun, found=3, applied=True)
    await store.insert_deletions([begun], "a")
    assert await store.scope_deletions([SHOP], FROM_THE_START) == [begun]
    await store.insert_deletions([applied], "b")
    await store.insert_deletions([begun], "written again")
    assert await store.scope_deletions([SHOP], FROM_THE_START) == [applied]
    more = replace(applied, found=4)
    await store.insert_deletions([more], "c")
    assert await store.scope_deletions([SHOP], FROM_THE_START) == [more]


async def test_deletions_by_scope_come_in_the_order_of_their_positions_and_of_these_projects(
    store: RequestLogStore,
) -> None:
    places = [Position(1, 0, 9), Position(2, 0, 1), Position(2, 1, 0)]
    mine = [a_deletion(position=place, scope=Scope.FILTER, what='{"status":\t"\\n"}') for place in places]
    by_id = a_deletion(scope=Scope.ID, what=an_id(A_TIME, 1), applied=True, found=1)
    await store.insert_deletions([mine[2], by_id, mine[0], a_deletion(project=BANK), mine[1]], "token")
    assert await store.scope_deletions([SHOP], FROM_THE_START) == mine
    assert await store.scope_deletions([], FROM_THE_START) == []


async def test_only_deletions_that_can_stand_after_a_place_are_read(store: RequestLogStore) -> None:
    places = [Position(1, 0, 9), Position(2, 0, 1), Position(2, 1, 7), Position(3, 2, 0)]
    await store.insert_deletions([a_deletion(position=place) for place in places], "token")

    async def after(*of: Position) -> list[Position]:
        return [deletion.position for deletion in await store.scope_deletions([SHOP], of)]

    assert await after(Position(1, 0, 8)) == places
    assert await after(Position(1, 0, 9)) == places[1:]
    assert await after(Position(2, 1, 6)) == places[2:]
    assert await after(Position(2, 1, 7)) == places[3:]
    assert {places[1], places[3]} <= {*await after(Position(2, 1, 7), Position(2, 0, 0))}
    assert await after(Position(3, 2, 0)) == []
    assert await after() == []


async def test_what_a_deletion_has_deleted_is_counted_once_each(store: RequestLogStore) -> None:
    deletion = a_deletion()
    of_scope = [
        Patch(
            SHOP,
            an_id(A_TIME, number),
            deletion.position,
            EventId(an_id(A_TIME, 99)),
            Kind.SCOPE_DELETE,
            A_TIME,
            "",
            "",
            "{}",
        )
        for number in range(3)
    ]
    elsewhere = replace(of_scope[0], position=Position(2, 1, 101))
    update = replace(of_scope[0], id=an_id(A_TIME, 9), kind=Kind.LOG_UPDATE)
    await store.insert_patches([*of_scope, elsewhere, update], "a")
    await store.insert_patches(of_scope[:2], "written again")
    assert await store.deleted_by(deletion) == 3
    assert await store.deleted_by(replace(deletion, position=Position(2, 1, 7))) == 0
