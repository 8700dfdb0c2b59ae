"""Deletions: by id for good, by scope what came before; in steps, whatever is interrupted."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ledger.bus import Delivery, Position, Record
from ledger.bus.broadcasts import partitions_header
from ledger.deletion import Deletion, Portion, Scope, record_deletion, scope_deletion
from ledger.ids import EventId, RecordId, keyed_id
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.store import DataRefused, StoreOverstrained
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import SHOP, an_entry, an_update_of
from tests.support.recording import Crash, RememberingStore
from tests.support.remembering_worker import Worker, price
from workers.decoding import RejectCode
from workers.deleting import STEP, TOLD_AFTER
from workers.deriving import Derived
from workers.pipeline import Deps, process

FIRST = an_id(A_TIME, 1)
KEYED = keyed_id("order 17", ID_SECRET)
USER_1 = (Scope.USER, "user:1")
ACCEPTED_AT = A_TIME + 999


def delivered(record: Record, offset: int) -> Delivery:
    return Delivery(Position(1, 0, offset), record.key, record.envelope, record.body)


def a_deletion_of(record_id: RecordId, offset: int) -> Delivery:
    return delivered(record_deletion(SHOP, record_id, EventId(an_id(A_TIME, 5000 + offset)), ACCEPTED_AT), offset)


def a_scope(offset: int, of: tuple[Scope, str] = USER_1) -> Delivery:
    return delivered(scope_deletion(SHOP, EventId(an_id(A_TIME, 6000 + offset)), of, ACCEPTED_AT), offset)


def of_user(user: int, number: int, offset: int) -> Delivery:
    return an_entry({"initiator": f"user:{user}", "description": "d"}, offset, record_id=an_id(A_TIME, number))


def replayed(delivery: Delivery) -> Delivery:
    return replace(delivery, replayed_at=Position(1, 0, 10_000))


def seen(worker: Worker) -> set[int]:
    return {int(identity[1][-4:], 16) for identity in worker.store.visible()}


def tombstone_of(worker: Worker, record_id: RecordId) -> RequestLog:
    row = worker.store.all_rows()[SHOP, record_id]
    assert row.is_deleted
    return row


async def test_a_deleted_record_leaves_its_identity_and_nothing_else() -> None:
    worker = Worker()
    media = {"request": [{"type": "image", "data": "AAAA"}]}
    await worker.process(an_entry({"initiator": "u", "request_data": {"a": 1}, "media": media}, 1))
    alive = worker.store.visible()[SHOP, FIRST]
    await worker.process(a_deletion_of(FIRST, 2))
    row = tombstone_of(worker, FIRST)
    assert row == RequestLog(
        project=SHOP,
        created_at=A_TIME,
        id=FIRST,
        version=row.version,
        is_deleted=True,
        position=Position(1, 0, 2),
        source="",
        ingested_at=A_TIME,
        updated_at=ACCEPTED_AT,
        requested_at=A_TIME,
        bodies=Bodies(),
    )
    assert row.version > alive.version
    (noted,) = worker.store.deletions.values()
    assert (noted.scope, noted.what, noted.found, noted.applied) == (Scope.ID, FIRST, 1, True)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
async def test_a_deletion_is_final_whatever_comes_before_or_after_it(order: tuple[int, ...]) -> None:
    events = [an_entry({"description": "a"}, 1), a_deletion_of(FIRST, 2), an_update_of(FIRST, {"description": "b"}, 3)]
    worker = Worker()
    for at in order:
        await worker.process(replayed(events[at]))
    row = tombstone_of(worker, FIRST)
    await worker.process(*events)
    assert tombstone_of(worker, FIRST) == row
    assert (worker.dead, row.version & 0xFFFF) == ({}, 3)


async def test_what_is_deleted_is_not_priced_again_and_its_later_updates_and_media_are_not_kept() -> None:
    def refusing(derived: Derived) -> RequestLog:
        assert derived.row.model_requested != "secret"  # that the update names
        return derived.row

    worker = Worker()
    await worker.process(a_deletion_of(FIRST, 2))
    deps = Deps(worker.store, worker.blobs, worker.quarantine, refusing)
    media = {"request": [{"type": "image", "data": "AAAA"}]}
    await process(deps, [an_entry({"media": media}, 1), an_update_of(FIRST, {"media": media, "model": "secret"}, 3)])
    assert tombstone_of(worker, FIRST).version & 0xFFFF == 3
    assert worker.blobs.blobs == {}
    assert {patch.body for patch in worker.store.patched.values()} == {"{}"}


async def test_of_a_keyed_record_that_was_never_seen_only_the_deletion_is_kept_until_it_comes() -> None:
    worker = Worker()
    await worker.process(a_deletion_of(KEYED, 5))
    assert worker.store.all_rows() == {}
    assert [noted.found for noted in worker.store.deletions.values()] == [0]
    await worker.process(an_entry({"description": "late"}, 4, record_id=KEYED))
    assert tombstone_of(worker, KEYED).position == Position(1, 0, 5)


async def test_a_deletion_stays_in_force_when_a_row_is_refused() -> None:
    worker = Worker(RememberingStore(refuses=lambda row: row.is_deleted))
    await worker.process(an_entry({}, 1))
    await worker.process(a_deletion_of(FIRST, 2))
    assert worker.dead == {2: RejectCode.ROW_REFUSED}
    assert [patch.voidings for patch in worker.store.patched.values()] == [0]


async def test_a_scope_takes_what_was_accepted_before_it_also_from_its_own_batch() -> None:
    worker = Worker()
    await worker.process(of_user(1, 1, 1))
    receipt = await worker.process(of_user(1, 2, 2), of_user(2, 3, 3), a_scope(4), of_user(1, 4, 5), of_user(2, 5, 6))
    assert seen(worker) == {3, 4, 5}
    assert receipt.resume_at == {0: 7}
    (noted,) = worker.store.deletions.values()
    assert (noted.scope, noted.what, noted.found, noted.applied) == (Scope.USER, "user:1", 2, True)


async def test_a_record_that_was_changed_after_a_scope_was_judged_is_left_alone() -> None:
    worker = Worker()
    events = [of_user(2, 1, 1), a_scope(2), an_update_of(FIRST, {"initiator": "user:1"}, 3)]
    await worker.process(*events)
    await worker.process(*events)
    await worker.process(*events[:2])
    assert seen(worker) == {1}


async def test_a_scope_takes_a_record_that_an_update_before_it_gave_to_the_user() -> None:
    worker = Worker()
    await worker.process(of_user(2, 1, 1), an_update_of(FIRST, {"initiator": "user:1"}, 2), a_scope(3))
    await worker.process(replayed(an_update_of(FIRST, {"initiator": "user:2"}, 4)))
    assert seen(worker) == set()


async def test_what_comes_late_from_the_dead_letters_is_judged_as_it_was_then() -> None:
    worker = Worker()
    later = an_update_of(an_id(A_TIME, 2), {"initiator": "user:2"}, 4)
    await worker.process(a_scope(3), later, of_user(1, 3, 5))
    await worker.process(replayed(of_user(1, 1, 1)), replayed(of_user(1, 2, 2)), replayed(of_user(2, 4, 0)))
    assert seen(worker) == {3, 4}
    assert [noted.found for noted in worker.store.deletions.values()] == [2]
    await worker.process(replayed(of_user(1, 5, 6)))
    assert seen(worker) == {3, 4, 5}


async def test_a_filter_deletes_what_it_lists() -> None:
    rule = {"field": "model", "operator": "beginsWith", "value": "gpt"}
    worker = Worker()
    other = an_entry({"model": "claude"}, 2, record_id=an_id(A_TIME, 2))
    scope = a_scope(3, (Scope.FILTER, msgspec.json.encode({"combinator": "and", "rules": [rule]}).decode()))
    await worker.process(an_entry({}, 1), other, scope)
    assert seen(worker) == {2}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": ""},
        {"user_id": 1},
        {"user_id": "u", "filter": {"model": "m"}},
        {"filter": {}},
        {"filter": None},
        {"filter": {"combinator": "and", "rules": []}},
        {"filter": {"no such column": 1}},
        {"filter": {"combinator": "and", "rules": [{"field": "status", "operator": "contains", "value": 1}]}},
        {"user_id": "u" * 5000},
        {"all": True},
    ],
)
async def test_a_scope_that_cannot_be_understood_is_a_dead_letter_and_deletes_nothing(body: Any) -> None:
    worker = Worker()
    bad = replace(a_scope(2), body=msgspec.json.encode(body))
    await worker.process(of_user(1, 1, 1), bad, of_user(1, 2, 3))
    assert worker.dead == {2: RejectCode.BODY_INVALID}
    assert seen(worker) == {1, 2}
    assert worker.store.deletions == {}


@pytest.mark.parametrize("crash_before", range(40))
async def test_a_scope_that_is_interrupted_is_finished_when_it_is_read_again(crash_before: int) -> None:
    worker = Worker()
    await worker.process(*(of_user(1 + number % 2, number, number) for number in range(12)))
    deps = Deps(worker.store, worker.blobs, worker.quarantine, price, deleted_at_once=2)
    batch = [a_scope(20), of_user(1, 12, 21)]
    worker.store.crash_before = crash_before
    try:
        await process(deps, batch)
    except Crash:
        worker.store.crash_before = None
        await process(deps, batch)
    assert seen(worker) == {1, 3, 5, 7, 9, 11, 12}
    (noted,) = worker.store.deletions.values()
    assert (noted.found, noted.applied) == (6, True)


async def test_a_tombstone_of_a_scope_that_is_refused_stops_the_worker() -> None:
    worker = Worker(RememberingStore(refuses=lambda row: row.is_deleted))
    with pytest.raises(DataRefused):
        await worker.process(of_user(1, 1, 1), a_scope(2))


class Strained(RememberingStore):
    """A store that has not memory enough for the first looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks_left = looks
        self.asked: list[tuple[int, bool]] = []

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        self.asked.append((portion.limit, portion.sparing))
        if self.looks_left:
            self.looks_left -= 1
            raise StoreOverstrained
        return await super().matching(deletion, portion)


@pytest.mark.parametrize(("looks", "told"), [(1, 0), (TOLD_AFTER - 1, 0), (TOLD_AFTER, 1), (TOLD_AFTER + 20, 21)])
async def test_a_store_that_is_overstrained_is_asked_for_less_and_it_is_said(
    looks: int, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Strained(looks)
    worker = Worker(store)
    await worker.process(*(of_user(1, number, number) for number in range(3)), of_user(2, 3, 3), a_scope(4))
    assert seen(worker) == {3}
    assert store.asked[: looks + 1] == [(max(1, STEP >> failures), failures > 0) for failures in range(looks + 1)]
    assert store.asked[-1] == (STEP, False)
    assert [record.levelname for record in caplog.records if "does not get through" in record.message] == (
        ["ERROR"] * told
    )


async def test_a_scope_remembers_to_how_many_partitions_it_went() -> None:
    worker = Worker()
    await worker.process(replace(a_scope(1), headers=(partitions_header(12),)))
    assert [noted.partitions for noted in worker.store.deletions.values()] == [12]
