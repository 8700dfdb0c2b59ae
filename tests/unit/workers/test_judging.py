"""Late events, from the dead letters: judged by the deletions that were accepted after them, as things were then."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ledger.bus import Delivery, Position
from ledger.deletion import Deletion, Portion, Scope, scope_deletion
from ledger.ids import EventId, ProjectId, RecordId, keyed_id
from ledger.request_log import RowKey
from ledger.store import DataRefused
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import SHOP, an_entry, an_update_of
from tests.support.recording import RememberingStore
from tests.support.remembering_worker import Worker
from workers.decoding import RejectCode

FIRST = an_id(A_TIME, 1)
KEYED = keyed_id("order 17", ID_SECRET)


def a_scope(offset: int, of: tuple[Scope, str]) -> Delivery:
    record = scope_deletion(SHOP, EventId(an_id(A_TIME, 6000 + offset)), of, A_TIME + 999)
    return Delivery(Position(1, 0, offset), record.key, record.envelope, record.body)


def of_user(user: str, offset: int) -> Delivery:
    return a_scope(offset, (Scope.USER, user))


def of_model(model: str, offset: int) -> Delivery:
    return a_scope(offset, (Scope.FILTER, json.dumps({"model": model})))


def created(user: str, offset: int, record_id: RecordId = FIRST) -> Delivery:
    return an_entry({"initiator": user, "description": "d"}, offset, record_id=record_id)


def updated(offset: int, record_id: RecordId = FIRST, **fields: Any) -> Delivery:
    return an_update_of(record_id, fields, offset)


def replayed(delivery: Delivery, at: int, number: int = 1) -> Delivery:
    return replace(delivery, replayed_at=Position(1, 0, at), replays=number)


def visible(worker: Worker) -> set[RecordId]:
    return {id_ for _, id_ in worker.store.visible()}


class Asked(RememberingStore):
    """Remembers what it was asked for a deletion, and refuses the questions of some."""

    def __init__(self, refused: str | None = None) -> None:
        super().__init__()
        self.questions: list[str] = []
        self.refused = refused

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        self.questions.append(deletion.what)
        if deletion.what == self.refused:
            raise DataRefused
        return await super().matching(deletion, portion)


@pytest.mark.parametrize("record_id", [FIRST, KEYED])
async def test_a_record_that_was_the_users_then_is_deleted_although_it_was_changed_since(record_id: RecordId) -> None:
    worker = Worker()
    await worker.process(created("zoe", 140, record_id), of_user("eve", 160), updated(170, record_id, description="x"))
    await worker.process(replayed(updated(150, record_id, initiator="eve"), 200))
    assert visible(worker) == set()
    assert [noted.found for noted in worker.store.deletions.values()] == [1]
    await worker.process(replayed(updated(155, record_id, initiator="zoe"), 201))
    assert visible(worker) == set()


@pytest.mark.parametrize(
    ("late", "since"),
    [
        ({"description": "late"}, {"initiator": "eve"}),  # became eve's after eve was deleted
        ({"description": "late"}, {"description": "x"}),
        ({"initiator": "ann"}, {"initiator": "eve"}),
    ],
)
async def test_a_record_that_was_not_the_users_then_stays(late: dict[str, Any], since: dict[str, Any]) -> None:
    worker = Worker()
    await worker.process(created("zoe", 140), of_user("eve", 160), updated(170, **since))
    await worker.process(replayed(updated(150, **late), 200))
    assert visible(worker) == {FIRST}
    assert worker.dead == {}


async def test_what_another_update_before_the_deletion_gave_away_again_stays() -> None:
    worker = Worker()
    await worker.process(created("zoe", 140), updated(155, initiator="ann"), of_user("eve", 160))
    await worker.process(updated(170, description="x"), replayed(updated(150, initiator="eve"), 200))
    assert visible(worker) == {FIRST}


async def test_a_record_that_was_created_after_the_deletion_stays() -> None:
    worker = Worker()
    await worker.process(of_user("eve", 160), created("zoe", 165, KEYED))
    await worker.process(replayed(updated(150, KEYED, initiator="eve"), 200))
    assert worker.store.visible()[SHOP, KEYED].user_id == "eve"


async def test_a_late_create_is_judged_with_the_updates_that_were_before_the_deletion() -> None:
    worker = Worker()
    await worker.process(updated(150, initiator="eve"), of_user("eve", 160), updated(170, initiator="zoe"))
    await worker.process(replayed(created("ann", 140), 200))
    assert visible(worker) == set()


async def test_a_late_update_that_a_filter_may_mean_dies_again_where_the_record_was_changed_since() -> None:
    worker = Worker()
    await worker.process(created("zoe", 140), of_model("claude", 160), updated(170, description="x"))
    before = worker.store.visible()
    late = updated(150, model="claude")
    await worker.process(replayed(late, 200))
    assert worker.dead == {150: RejectCode.CHANGED_AFTER_DELETION}
    assert worker.store.visible() == before
    assert {patch.position.offset for patch in worker.store.patched.values()} == {170}


async def test_after_the_same_deletion_was_asked_for_again_the_update_can_be_replayed() -> None:
    worker = Worker()
    await worker.process(created("zoe", 140), of_model("claude", 160), updated(170, description="x"))
    await worker.process(of_model("claude", 210), replayed(updated(150, model="claude"), 220, 2))
    assert (visible(worker), worker.dead) == (set(), {})


async def test_a_replay_that_was_stored_before_is_no_dead_letter_when_it_is_read_again() -> None:
    worker = Worker()
    late = replayed(updated(150, model="gpt-5"), 200)
    await worker.process(created("zoe", 140), of_model("claude", 160), late)
    await worker.process(updated(201, description="x"))
    await worker.process(late)
    assert worker.dead == {}
    assert worker.store.visible()[SHOP, FIRST].model_requested == "gpt-5"


async def test_a_question_that_the_store_refuses_does_not_stop_late_events(caplog: pytest.LogCaptureFixture) -> None:
    refused = json.dumps({"model": "refused"})
    worker = Worker(Asked(refused))
    await worker.process(created("zoe", 1), of_model("refused", 30), of_model("claude", 31))
    assert worker.dead == {30: RejectCode.BODY_INVALID}
    assert {noted.position.offset: noted.applied for noted in worker.store.deletions.values()} == {30: False, 31: True}
    claude = an_entry({"model": "claude"}, 10, record_id=an_id(A_TIME, 2))
    await worker.process(replayed(claude, 40), replayed(created("ann", 11, KEYED), 41))
    assert visible(worker) == {FIRST, KEYED}
    said = [record for record in caplog.records if "not judged by it" in record.message]
    assert [record.levelname for record in said] == ["ERROR"]


async def test_a_refused_deletion_that_is_replayed_means_what_was_accepted_before_its_replay() -> None:
    what = json.dumps({"user_id": "ann"})
    store = Asked(what)
    worker = Worker(store)
    deletion = a_scope(30, (Scope.FILTER, what))
    await worker.process(created("ann", 10), deletion, updated(40, description="x"), created("ann", 45, KEYED))
    store.refused = None
    await worker.process(replayed(deletion, 50), created("ann", 51, an_id(A_TIME, 9)))
    assert visible(worker) == {an_id(A_TIME, 9)}
    noted = {noted.position.offset: (noted.applied, noted.found) for noted in store.deletions.values()}
    assert noted == {30: (False, 0), 50: (True, 2)}


async def test_the_store_is_asked_for_no_deletion_of_another_user_and_for_none_before() -> None:
    class Counting(Asked):
        after: list[Collection[Position]] = []  # noqa: RUF012

        async def scope_deletions(self, of: Collection[ProjectId], after: Collection[Position]) -> list[Deletion]:
            self.after.append(after)
            return await super().scope_deletions(of, after)

    store = Counting()
    worker = Worker(store)
    await worker.process(*(of_user(f"user:{number}", number) for number in range(20, 60)))
    store.questions.clear()
    writes = len(store.writes)
    await worker.process(replayed(created("zoe", 10), 100), replayed(created("user:59", 15, KEYED), 101))
    assert visible(worker) == {FIRST}
    assert (store.questions, [*map(offsets, store.after)]) == ([], [[10, 15]])
    assert len(store.writes) - writes < 12


def offsets(places: Collection[Position]) -> Sequence[int]:
    return sorted(place.offset for place in places)
