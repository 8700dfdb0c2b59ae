"""One batch from top to bottom: the order of the writes, crashes between them, refusals, outages, lost leases."""

from dataclasses import replace

import pytest

from ledger.bus import Delivery
from ledger.errors import StoreUnavailable, UnknownVersion
from ledger.ids import ProjectId, keyed_id
from ledger.report import VERSION
from ledger.store import StoreBroken
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import AN_ID, a_delivery, an_entry, an_update_of
from tests.support.recording import Crash, RememberingQuarantine, RememberingStore
from tests.support.remembering_worker import Worker, fine
from workers.decoding import RejectCode, Rejected
from workers.quarantining import TooManyDeadLetters
from workers.receipts import Receipt
from workers.writing import NoLongerOurs

KEYED = keyed_id("order 17", ID_SECRET)
MEDIA = {"request": [{"type": "image", "data": "AAAA"}]}


@pytest.fixture
def worker() -> Worker:
    return Worker()


A_BATCH = [
    an_entry({"description": "keyed", "media": MEDIA}, 1, record_id=KEYED),
    an_entry({"description": "plain"}, 2),
    an_update_of(AN_ID, {"description": "updated"}, 3),
]


async def test_keys_and_patches_come_before_bodies_and_bodies_before_rows_and_progress_is_last(worker: Worker) -> None:
    receipt = await worker.process(*A_BATCH)
    assert worker.store.writes == ["keys", "patches", "bodies", "rows", "progress"]
    assert receipt == Receipt(stored=2, quarantined=0, resume_at={0: 4})


async def test_blobs_come_before_the_rows_that_name_them() -> None:
    worker = Worker(RememberingStore(crash_before=2))  # keys, patches
    with pytest.raises(Crash):
        await worker.process(*A_BATCH)
    assert worker.store.writes == ["keys", "patches"]
    assert len(worker.blobs.blobs) == 1


@pytest.mark.parametrize("writes", range(4))
async def test_a_crash_before_any_write_is_made_good_by_the_redelivery(writes: int) -> None:
    untroubled, worker = Worker(), Worker(RememberingStore(crash_before=writes))
    await untroubled.process(*A_BATCH)
    with pytest.raises(Crash):
        await worker.process(*A_BATCH)
    assert worker.store.lists == {}, "nothing is listed before everything else is written"
    worker.store.crash_before = None
    await worker.process(*A_BATCH)
    assert worker.store.visible() == untroubled.store.visible()


async def test_nothing_is_put_away_before_everything_else_is_written() -> None:
    worker = Worker(RememberingStore(crash_before=0))
    with pytest.raises(Crash):
        await worker.process(fine(1, 1), a_delivery(b"[", 2))
    assert worker.quarantine.dead == {}


async def test_bad_records_are_dead_letters_and_their_neighbours_are_rows(worker: Worker) -> None:
    no_envelope = Delivery(a_delivery(offset=4).position, None, None, None)
    batch = [fine(1, 1), a_delivery(b"[", 2), an_entry({"cost": -1}, 3), no_envelope, fine(2, 5)]
    receipt = await worker.process(*batch)
    assert set(worker.descriptions) == {an_id(A_TIME, 1), an_id(A_TIME, 2)}
    assert worker.dead == {
        2: RejectCode.BODY_UNREADABLE,
        3: RejectCode.BODY_INVALID,
        4: RejectCode.ENVELOPE_UNREADABLE,
    }
    assert receipt == Receipt(stored=2, quarantined=3, resume_at={0: 6})
    assert {item.delivery.position: item.delivery for item in worker.quarantine.dead.values()} == {
        delivery.position: delivery for delivery in batch[1:4]
    }


async def test_a_dead_letter_is_the_delivery_as_it_was_read(worker: Worker) -> None:
    bad = replace(a_delivery(b"\xff not JSON", 2), headers=(("x", b"\xff"),))
    await worker.process(bad)
    (item,) = worker.quarantine.dead.values()
    assert item.delivery is bad


async def test_an_empty_batch_writes_nothing(worker: Worker) -> None:
    assert await worker.process() == Receipt(stored=0, quarantined=0, resume_at={})
    assert worker.store.writes == []


async def test_a_store_that_is_away_is_waited_for() -> None:
    worker = Worker(RememberingStore(away_for=25))
    assert (await worker.process(*A_BATCH)).stored == 2
    assert worker.dead == {}
    assert worker.store.writes == ["keys", "patches", "bodies", "rows", "progress"]


async def test_a_store_that_cannot_be_read_is_waited_for(worker: Worker) -> None:
    class Away(RememberingStore):
        """Its first look-ups fail."""

        look_ups = 0

        async def patches(self, of: object) -> list[object]:  # type: ignore[override]
            self.look_ups += 1
            if self.look_ups < 5:
                raise StoreUnavailable
            return []

    worker.store = Away()
    assert (await worker.process(*A_BATCH)).stored == 2


async def test_a_quarantine_that_is_away_is_waited_for(worker: Worker) -> None:
    class Away(RememberingQuarantine):
        """Its first puts fail."""

        puts = 0

        async def put(self, rejected: list[Rejected]) -> None:  # type: ignore[override]
            self.puts += 1
            if self.puts < 5:
                raise StoreUnavailable
            self.dead |= {item.delivery.position: item for item in rejected}

    worker.quarantine = Away()
    assert (await worker.process(a_delivery(b"[", 1))).quarantined == 1
    assert worker.dead == {1: RejectCode.BODY_UNREADABLE}


async def test_a_broken_store_stops_the_worker_and_nothing_is_a_dead_letter(worker: Worker) -> None:
    class Broken(RememberingStore):
        """Has lost a table."""

        async def insert_rows(self, rows: object, token: str) -> None:
            raise StoreBroken

    worker.store = Broken()
    with pytest.raises(StoreBroken):
        await worker.process(fine(1, 1), a_delivery(b"[", 2))
    assert worker.quarantine.dead == {}


async def test_a_record_of_a_later_era_stops_the_worker_before_anything_is_written(worker: Worker) -> None:
    with pytest.raises(UnknownVersion):
        await worker.process(fine(1, 1), a_delivery(offset=2, version=VERSION + 2), a_delivery(b"[", 3))
    assert worker.store.writes == []
    assert worker.quarantine.dead == {}


@pytest.mark.parametrize("checks", range(4))
async def test_a_worker_that_lost_its_partitions_stops_before_the_next_table(worker: Worker, checks: int) -> None:
    left = iter([True] * checks)
    with pytest.raises(NoLongerOurs):
        await worker.process(*A_BATCH, still_ours=lambda: next(left, False))
    assert worker.store.lists == {}
    assert len(worker.store.writes) <= checks


async def test_a_worker_that_waits_for_the_store_notices_that_its_partitions_went() -> None:
    worker = Worker(RememberingStore(away_for=10**9))
    left = iter([True] * 5)
    with pytest.raises(NoLongerOurs):
        await worker.process(fine(1, 1), still_ours=lambda: next(left, False))


async def test_one_project_of_rubbish_stops_nobody(worker: Worker) -> None:
    rubbish = [a_delivery(b"[", offset) for offset in range(300)]
    assert (await worker.process(*rubbish, fine(1, 300))).stored == 1
    assert len(worker.dead) == 300


async def test_several_projects_of_rubbish_stop_the_worker_before_anything_is_put_away(worker: Worker) -> None:
    projects = [ProjectId("shop"), ProjectId("bank")]
    rubbish = [a_delivery(b"[", offset, project=projects[offset % 2]) for offset in range(300)]
    with pytest.raises(TooManyDeadLetters):
        await worker.process(fine(1, 300), *rubbish)
    assert worker.quarantine.dead == {}
    assert worker.store.writes == []


async def test_processing_a_batch_twice_gives_the_same_rows(worker: Worker) -> None:
    await worker.process(*A_BATCH)
    before = worker.store.visible()
    await worker.process(*A_BATCH)
    assert worker.store.visible() == before
