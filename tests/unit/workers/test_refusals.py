"""Rows that the store refuses for what they are: they alone become dead letters, and nothing is lost on the way."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ledger.bus import Delivery, Position
from ledger.ids import RecordId, keyed_id
from ledger.patch import Patch
from ledger.request_log import RequestLog
from ledger.store import DataRefused
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import SHOP, an_entry, an_update_of
from tests.support.recording import Crash, RememberingQuarantine, RememberingStore
from tests.support.remembering_worker import Worker, fine, is_poison, poison
from workers.decoding import RejectCode
from workers.receipts import Receipt

KEYED = keyed_id("order 17", ID_SECRET)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 33])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
async def test_a_refused_row_is_found_and_its_neighbours_are_stored(size: int, place: float) -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    at = round(place * (size - 1))
    batch = [poison(number, number) if number == at else fine(number, number) for number in range(size)]
    receipt = await worker.process(*batch)
    assert worker.dead == {at: RejectCode.ROW_REFUSED}
    assert set(worker.descriptions) == {an_id(A_TIME, number) for number in range(size) if number != at}
    assert receipt == Receipt(stored=size - 1, quarantined=1, resume_at={0: size})


async def test_when_all_rows_are_refused_all_are_dead_letters() -> None:
    worker = Worker(RememberingStore(refuses=lambda _: True))
    receipt = await worker.process(*(fine(number, number) for number in range(7)))
    assert receipt == Receipt(stored=0, quarantined=7, resume_at={0: 7})
    assert worker.store.lists == {}


async def test_a_refused_update_is_taken_out_of_force_so_that_later_ones_work() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    await worker.process(fine(1, 1))
    record_id = an_id(A_TIME, 1)
    receipt = await worker.process(an_update_of(record_id, {"description": "poison"}, 2))
    assert (receipt.stored, worker.dead) == (0, {2: RejectCode.ROW_REFUSED})
    (patch,) = await worker.store.patches([(SHOP, record_id)])
    assert patch.is_voided
    await worker.process(an_update_of(record_id, {"initiator": "u"}, 3))
    row = worker.store.visible()[SHOP, record_id]
    assert (row.description, row.user_id, row.version & 0xFFFF) == ("fine", "u", 4)


async def test_a_refused_update_does_not_take_its_record_with_it() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    record_id = an_id(A_TIME, 1)
    keyed = an_entry({"description": "keyed"}, 4, record_id=KEYED)
    batch = [
        fine(1, 1),
        an_update_of(record_id, {"initiator": "u"}, 2),
        an_update_of(record_id, {"description": "poison"}, 3),
        keyed,
        an_update_of(KEYED, {"description": "poison"}, 5),
        fine(2, 6),
    ]
    receipt = await worker.process(*batch)
    assert worker.descriptions == {record_id: "fine", KEYED: "keyed", an_id(A_TIME, 2): "fine"}
    assert worker.dead == dict.fromkeys((2, 3, 5), RejectCode.ROW_REFUSED)
    assert receipt == Receipt(stored=3, quarantined=3, resume_at={0: 7})
    before = worker.store.visible()
    assert (await worker.process(*batch)) == receipt
    assert worker.store.visible() == before


async def test_a_record_that_is_refused_also_without_its_updates_is_a_dead_letter() -> None:
    worker = Worker(RememberingStore(refuses=lambda row: row.id == an_id(A_TIME, 1)))
    batch = [fine(1, 1), an_update_of(an_id(A_TIME, 1), {"initiator": "u"}, 2), fine(2, 3)]
    receipt = await worker.process(*batch)
    assert worker.dead == dict.fromkeys((1, 2), RejectCode.ROW_REFUSED)
    assert receipt == Receipt(stored=1, quarantined=2, resume_at={0: 4})


async def test_a_crash_after_the_patch_was_voided_does_not_lose_the_update() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    await worker.process(fine(1, 1))
    update = an_update_of(an_id(A_TIME, 1), {"description": "poison"}, 2)
    unlucky = Worker(worker.store, quarantine=CrashingQuarantine())
    with pytest.raises(Crash):
        await unlucky.process(update)
    receipt = await worker.process(update)
    assert worker.dead == {2: RejectCode.ROW_REFUSED}
    assert receipt.quarantined == 1
    assert worker.descriptions == {an_id(A_TIME, 1): "fine"}


def replay(delivery: Delivery, number: int, offset: int) -> Delivery:
    """The dead letter as it is read again from this offset."""
    return replace(delivery, replayed_at=Position(1, 0, offset), replays=number)


async def voidings(worker: Worker, record_id: RecordId) -> list[int]:
    return [patch.voidings for patch in await worker.store.patches([(SHOP, record_id)])]


async def test_a_replay_puts_a_refused_update_in_force_again_in_its_old_place() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    record_id = an_id(A_TIME, 1)
    update = an_update_of(record_id, {"description": "poison", "initiator": "early"}, 2)
    await worker.process(fine(1, 1), update, an_update_of(record_id, {"initiator": "late"}, 3))
    repaired = Worker(worker.store)
    worker.store.refuses = lambda _: False
    receipt = await repaired.process(replay(update, 1, 9))
    assert (receipt.stored, receipt.quarantined, receipt.resume_at) == (1, 0, {0: 10})
    assert await voidings(worker, record_id) == [2, 1]  # the later one died with it, and waits for its own replay
    assert worker.store.visible()[SHOP, record_id].description == "poison"
    before = worker.store.visible()
    await repaired.process(replay(update, 1, 9))
    await repaired.process(update)
    assert (worker.store.visible(), repaired.dead) == (before, {})


async def test_a_replay_that_is_refused_again_dies_again_and_later_updates_work() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    record_id = an_id(A_TIME, 1)
    update = an_update_of(record_id, {"description": "poison"}, 2)
    await worker.process(fine(1, 1), update)
    for number in (1, 2):
        again = replay(update, number, 8 + number)
        for _ in range(2):  # the second time after a crash before its commit
            assert (await worker.process(again)).quarantined == 1
        assert await voidings(worker, record_id) == [2 * number + 1]
        assert worker.quarantine.dead[update.position].delivery.replays == number
    await worker.process(an_update_of(record_id, {"initiator": "u"}, 20))
    row = worker.store.visible()[SHOP, record_id]
    assert (row.description, row.user_id) == ("fine", "u")


async def test_a_replayed_create_that_comes_after_its_updates_folds_them_all() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    record_id = an_id(A_TIME, 1)
    create = poison(1, 1)
    await worker.process(create, an_update_of(an_id(A_TIME, 2), {"initiator": "x"}, 2))
    assert worker.dead == {1: RejectCode.ROW_REFUSED}
    await worker.process(an_update_of(record_id, {"initiator": "u"}, 3))
    await worker.process(an_update_of(record_id, {"environment": "prod", "description": "better"}, 4))
    assert (await worker.process(replay(create, 1, 9))).quarantined == 0
    row = worker.store.visible()[SHOP, record_id]
    assert (row.description, row.user_id, row.position.offset) == ("better", "u", 4)


async def test_a_replayed_record_under_a_key_is_what_it_was_by_its_first_position() -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    create = an_entry({"description": "poison"}, 1, record_id=KEYED)
    retry = an_entry({"description": "poison"}, 2, record_id=KEYED)
    other = an_entry({"description": "other"}, 3, record_id=KEYED)
    await worker.process(create, retry, other)
    assert worker.dead == {1: RejectCode.ROW_REFUSED, 3: RejectCode.KEY_REUSED}
    worker.store.refuses = lambda _: False
    worker.quarantine.dead.clear()
    await worker.process(replay(other, 1, 9), replay(create, 1, 10))
    assert worker.dead == {3: RejectCode.KEY_REUSED}
    (row,) = worker.store.visible().values()
    assert (row.description, row.position.offset) == ("poison", 1)


class CrashingQuarantine(RememberingQuarantine):
    """Dies instead of putting anything away."""

    async def put(self, rejected: object) -> None:
        raise Crash


class RefusingRows(RememberingStore):
    """Refuses light rows only: what comes with them is written by then. Dies once before a write of this token."""

    def __init__(self, dies_at: str = "never") -> None:
        super().__init__()
        self.dies_at = dies_at

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        self._die_at(token)
        if any(is_poison(row) for row in rows):
            raise DataRefused
        await super().insert_rows(rows, token)

    async def insert_patches(self, patches: Sequence[Patch], token: str) -> None:
        self._die_at(token)
        await super().insert_patches(patches, token)

    def _die_at(self, token: str) -> None:
        if self.dies_at in token:
            self.dies_at = "never"
            raise Crash


@pytest.mark.parametrize("dies_at", ["never", "-restored", "-voided"])
async def test_the_texts_of_a_refused_update_do_not_stay_beside_its_record(dies_at: str) -> None:
    store = RefusingRows(dies_at)
    worker = Worker(store)
    record_id = an_id(A_TIME, 1)
    await worker.process(an_entry({"request_data": "old", "description": "fine"}, 10, record_id=record_id))
    batch = [fine(2, 19), an_update_of(record_id, {"request_data": "NEW", "description": "poison"}, 20), fine(3, 21)]
    if dies_at != "never":
        with pytest.raises(Crash):
            await worker.process(*batch)
    await worker.process(*batch)
    row = store.visible()[SHOP, record_id]
    assert worker.dead == {20: RejectCode.ROW_REFUSED}
    assert (row.description, row.bodies and row.bodies.raw_request) == ("fine", '"old"')
    await worker.process(an_update_of(record_id, {"initiator": "u"}, 30))
    after = store.visible()[SHOP, record_id]
    assert (after.user_id, after.bodies) == ("u", row.bodies)
