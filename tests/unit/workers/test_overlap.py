"""A batch of several chunks: the next one is prepared while one is written, and folded only afterwards."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pytest

from ledger.bus import Delivery
from ledger.errors import UnknownVersion
from ledger.ids import RecordId
from ledger.patch import Patch
from ledger.report import VERSION
from ledger.request_log import RequestLog
from ledger.store import Identity, StoreBroken
from tests.support.builders import A_TIME, an_id
from tests.support.events import a_delivery, an_update_of
from tests.support.recording import RememberingBlobs, RememberingQuarantine, RememberingStore
from tests.support.remembering_worker import AT_ONCE, fine
from tests.support.remembering_worker import price as priced
from workers.deriving import Derived
from workers.pipeline import Deps, process
from workers.receipts import Receipt

SECONDS = 30


@dataclass(slots=True)
class Preparing:
    """Prices rows, which is the last step of preparing, and knows which ones; it does so in threads."""

    done: defaultdict[RecordId, threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))

    def price(self, derived: Derived) -> RequestLog:
        self.done[derived.row.id].set()
        return priced(derived)

    async def until(self, id_: RecordId) -> None:
        assert await asyncio.to_thread(self.done[id_].wait, SECONDS)

    def has(self, id_: RecordId) -> bool:
        return self.done[id_].is_set()


@dataclass(slots=True)
class WatchingStore(RememberingStore):
    """Finishes writing a chunk's rows only once the record `while_writing` names for them is prepared."""

    preparing: Preparing = field(default_factory=Preparing)
    while_writing: dict[RecordId, RecordId] = field(default_factory=dict)
    writes_at_look_ups: list[int] = field(default_factory=list)
    breaks_at: RecordId | None = None

    async def patches(self, of: Collection[Identity]) -> list[Patch]:
        self.writes_at_look_ups.append(self.writes.count("rows"))
        return await RememberingStore.patches(self, of)

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        for row in rows:
            if row.id in self.while_writing:
                await self.preparing.until(self.while_writing[row.id])
            if row.id == self.breaks_at:
                raise StoreBroken
        await RememberingStore.insert_rows(self, rows, token)


@dataclass(slots=True)
class Pipeline:
    store: WatchingStore = field(default_factory=WatchingStore)
    quarantine: RememberingQuarantine = field(default_factory=RememberingQuarantine)
    is_on_trial: bool = False
    told: list[int] = field(default_factory=list)  # rows written when all was said to be prepared

    async def process(self, *batch: Delivery) -> Receipt:
        deps = Deps(
            self.store, RememberingBlobs(), self.quarantine, self.store.preparing.price, retry=AT_ONCE, rows_at_once=2
        )
        deps.only_first = lambda: self.is_on_trial
        deps.on_prepared = lambda: self.told.append(self.store.writes.count("rows"))
        return await process(deps, batch)


def ids(*numbers: int) -> list[RecordId]:
    return [an_id(A_TIME, number) for number in numbers]


SIX = [fine(number, number) for number in range(1, 7)]
FIRST, THIRD, FIFTH = ids(1, 3, 5)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


async def test_the_next_chunk_is_prepared_while_one_is_written(pipeline: Pipeline) -> None:
    pipeline.store.while_writing = {FIRST: THIRD, THIRD: FIFTH}
    assert await pipeline.process(*SIX) == Receipt(stored=6, quarantined=0, resume_at={0: 7})
    assert len(pipeline.store.visible()) == 6


async def test_a_chunk_is_folded_only_once_the_one_before_it_is_written(pipeline: Pipeline) -> None:
    pipeline.store.while_writing = {FIRST: THIRD, THIRD: FIFTH}
    await pipeline.process(*SIX)
    assert pipeline.store.writes_at_look_ups == [0, 1, 2]


async def test_no_more_than_one_chunk_is_prepared_ahead(pipeline: Pipeline) -> None:
    pipeline.store.while_writing = {FIRST: THIRD}
    pipeline.store.breaks_at = FIRST
    with pytest.raises(StoreBroken):
        await pipeline.process(*SIX)
    assert [pipeline.store.preparing.has(id_) for id_ in (FIRST, THIRD, FIFTH)] == [True, True, False]


async def test_what_was_prepared_ahead_of_a_failed_write_is_dropped_and_no_progress_is_made(pipeline: Pipeline) -> None:
    pipeline.store.while_writing = {FIRST: THIRD}
    pipeline.store.breaks_at = FIRST
    with pytest.raises(StoreBroken):
        await pipeline.process(*SIX[:3], a_delivery(b"[", 4))
    assert (pipeline.store.writes, pipeline.store.progress, pipeline.quarantine.dead) == (["bodies"], {}, {})
    pipeline.store.breaks_at = None
    assert (await pipeline.process(*SIX)).stored == 6


async def test_updates_in_neighbouring_chunks_of_one_record_both_count(pipeline: Pipeline) -> None:
    updates = [an_update_of(FIRST, {"description": "new"}, 3), an_update_of(FIRST, {"initiator": "zoe"}, 4)]
    await pipeline.process(fine(1, 1), fine(2, 2), updates[0], fine(3, 5), updates[1])
    row = pipeline.store.visible()["shop", FIRST]  # type: ignore[index]
    assert (row.description, row.user_id) == ("new", "zoe")


async def test_a_record_of_a_later_era_in_a_later_chunk_stops_after_what_is_before_it(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownVersion):
        await pipeline.process(*SIX[:2], a_delivery(offset=3, version=VERSION + 2))
    assert (len(pipeline.store.visible()), pipeline.store.progress) == (2, {})


async def test_a_batch_is_said_to_be_read_once_all_of_it_is(pipeline: Pipeline) -> None:
    await pipeline.process(*SIX)
    assert pipeline.told == [2], "two chunks were written, and the third was prepared"


async def test_where_only_the_first_chunk_is_wanted_nothing_else_is_prepared_and_the_receipt_says_so(
    pipeline: Pipeline,
) -> None:
    pipeline.is_on_trial = True
    assert await pipeline.process(*SIX) == Receipt(stored=2, quarantined=0, resume_at={0: 3})
    assert pipeline.told == [0], "it was said to be read before it was written"
    assert not pipeline.store.preparing.has(THIRD)
    assert list(pipeline.store.progress.values()) == [2]
