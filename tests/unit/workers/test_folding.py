"""All accepted events of one id → its row."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ledger.bus import Delivery, Position
from ledger.ids import EventId, keyed_id
from ledger.request_log import RequestLog, version_of
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import AN_ID, SHOP, an_entry, an_update, an_update_of, moved
from tests.support.recording import RememberingStore
from workers.decoding import RejectCode
from workers.deriving import Derived
from workers.folding import Chunk, Fold, fold
from workers.patches import MAX_EVENTS_PER_RECORD, acceptance
from workers.preparing import prepare
from workers.pricing import with_cost

KEYED = keyed_id("order 17", ID_SECRET)
AN_IMAGE = {"request": [{"type": "image", "data": "AAAA"}]}


def price(derived: Derived) -> RequestLog:
    return with_cost(derived.row)


async def folded(store: RememberingStore, *deliveries: Delivery) -> Fold:
    """The fold of one chunk, not yet written."""
    prepared = prepare(deliveries, price)
    assert not prepared.rejected
    return await fold(Chunk(prepared.reports, prepared.updates), store, price)


async def written(store: RememberingStore, *deliveries: Delivery) -> Fold:
    """The fold of one chunk, written."""
    changes = await folded(store, *deliveries)
    await store.insert_key_entries(changes.entries, "t")
    await store.insert_patches(changes.patches, "t")
    await store.insert_bodies([item.row for item in changes.rows if item.row.bodies is not None], "t")
    await store.insert_rows([item.row for item in changes.rows], "t")
    return changes


def rows(changes: Fold) -> Sequence[RequestLog]:
    return [item.row for item in changes.rows]


@pytest.fixture
def store() -> RememberingStore:
    return RememberingStore()


def test_a_version_grows_with_every_event_and_every_later_position() -> None:
    at = Position(1, 3, 7)
    assert version_of(at, 1) == 1 << 56 | 7 << 16 | 1
    assert version_of(at, 1) < version_of(at, 2) < version_of(at, MAX_EVENTS_PER_RECORD + 1)
    assert version_of(at, MAX_EVENTS_PER_RECORD + 1) < version_of(replace(at, offset=8), 1)
    assert version_of(replace(at, offset=2**40 - 1), 65535) < version_of(replace(at, generation=2, offset=0), 1)


def test_acceptance_orders_by_generation_and_offset_first() -> None:
    places = [Position(2, 0, 0), Position(1, 0, 5), Position(1, 4, 4)]
    assert sorted(places, key=acceptance) == [Position(1, 4, 4), Position(1, 0, 5), Position(2, 0, 0)]


async def test_a_report_alone_is_its_row(store: RememberingStore) -> None:
    changes = await folded(store, an_entry(offset=4))
    (row,) = rows(changes)
    assert (row.version, row.position) == (version_of(Position(1, 0, 4), 1), Position(1, 0, 4))
    assert (changes.entries, changes.patches, changes.rejected) == ([], [], [])
    assert [event.position.offset for event in changes.rows[0].carries] == [4]


async def test_updates_of_the_same_chunk_are_in_the_row_and_are_patches(store: RememberingStore) -> None:
    updates = [an_update_of(AN_ID, {"description": text}, offset) for offset, text in ((2, "a"), (3, "b"))]
    changes = await folded(store, updates[1], an_entry(), updates[0])
    (row,) = rows(changes)
    assert (row.description, row.position.offset, row.version & 0xFFFF) == ("b", 3, 3)
    assert [patch.position.offset for patch in changes.patches] == [2, 3]
    assert [event.position.offset for event in changes.rows[0].carries] == [1, 2, 3]
    assert list(changes.rows[0].patches) == changes.patches


async def test_an_update_of_a_stored_row_reads_it(store: RememberingStore) -> None:
    await written(store, an_entry({"description": "a", "initiator": "u"}))
    (row,) = rows(await written(store, an_update_of(AN_ID, {"description": "b"}, 2)))
    assert (row.description, row.user_id) == ("b", "u")
    assert row.bodies is None, "nothing heavy was read or is written"
    assert store.visible()[SHOP, AN_ID].bodies is not None


async def test_an_update_of_heavy_columns_reads_them(store: RememberingStore) -> None:
    await written(store, an_entry({"request_data": {"prompt": "p"}}))
    changes = await written(store, an_update_of(AN_ID, {"media": AN_IMAGE, "response_data": {"id": "r"}}, 2))
    (row,) = rows(changes)
    assert row.bodies is not None
    assert (row.bodies.prompt, row.provider_response_id) == ("p", "r")
    assert list(changes.blobs) == [(SHOP, row.media_hashes[0])]


async def test_an_update_before_its_create_waits_for_it(store: RememberingStore) -> None:
    changes = await written(store, an_update_of(AN_ID, {"description": "early"}, 1))
    assert rows(changes) == []
    assert len(changes.patches) == 1
    (row,) = rows(await written(store, an_entry(offset=2)))
    assert (row.description, row.version & 0xFFFF) == ("early", 2)


async def test_neighbouring_chunks_lose_no_update(store: RememberingStore) -> None:
    await written(store, an_entry())
    await written(store, an_update_of(AN_ID, {"description": "a"}, 2))
    (row,) = rows(await written(store, an_update_of(AN_ID, {"initiator": "u"}, 3)))
    assert (row.description, row.user_id, row.version & 0xFFFF) == ("a", "u", 3)


async def test_an_older_update_that_comes_late_does_not_win_but_makes_a_new_version(store: RememberingStore) -> None:
    await written(store, an_entry())
    (before,) = rows(await written(store, an_update_of(AN_ID, {"description": "new"}, 9)))
    (after,) = rows(await written(store, an_update_of(AN_ID, {"description": "old", "initiator": "u"}, 5)))
    assert (after.description, after.user_id) == ("new", "u")
    assert after.version > before.version
    assert after.position == before.position


async def test_a_redelivered_chunk_gives_the_same_rows_and_nothing_new(store: RememberingStore) -> None:
    chunk = [an_entry(), an_update_of(AN_ID, {"description": "a"}, 2)]
    first = await written(store, *chunk)
    again = await written(store, *chunk, *chunk)
    assert rows(again) == rows(first)
    assert (again.entries, again.patches, again.rejected) == ([], [], [])


async def test_a_retry_of_an_update_is_stored_but_counts_once(store: RememberingStore) -> None:
    first = an_update_of(AN_ID, {"description": "a"}, 2)
    between = an_update_of(AN_ID, {"description": "b"}, 3)
    changes = await written(store, an_entry(), first, between, moved(first, 4))
    (row,) = rows(changes)
    assert (row.description, len(changes.patches), changes.rejected) == ("b", 3, [])


async def test_another_update_under_a_used_key_is_rejected(store: RememberingStore) -> None:
    first = an_update_of(AN_ID, {"description": "a"}, 2)
    other = an_update_of(AN_ID, {"description": "b"}, 3, event_id=EventId(an_id(A_TIME, 1002)))
    changes = await written(store, an_entry(), first, other)
    assert rows(changes)[0].description == "a"
    assert [(item.code, item.delivery.position.offset) for item in changes.rejected] == [(RejectCode.KEY_REUSED, 3)]


# --- keyed ids


async def test_the_first_report_under_a_key_is_the_record(store: RememberingStore) -> None:
    changes = await written(store, an_entry(record_id=KEYED), an_entry(offset=2, record_id=KEYED, created_at=5))
    (row,) = rows(changes)
    (entry,) = changes.entries
    assert (row.created_at, entry.created_at, entry.position.offset) == (A_TIME, A_TIME, 1)
    assert changes.rejected == []


async def test_a_retry_in_a_later_chunk_changes_nothing(store: RememberingStore) -> None:
    await written(store, an_entry(record_id=KEYED))
    changes = await written(store, an_entry(offset=9, record_id=KEYED, created_at=A_TIME + 1))
    assert (rows(changes), changes.entries, changes.rejected) == ([], [], [])


async def test_another_report_under_a_used_key_is_rejected(store: RememberingStore) -> None:
    await written(store, an_entry(record_id=KEYED))
    changes = await written(store, an_entry({"description": "other"}, 9, record_id=KEYED))
    assert [item.code for item in changes.rejected] == [RejectCode.KEY_REUSED]
    assert rows(changes) == []


async def test_the_record_itself_redelivered_makes_its_row_again(store: RememberingStore) -> None:
    first = await written(store, an_entry(record_id=KEYED))
    again = await written(store, an_entry(record_id=KEYED))
    assert rows(again) == rows(first)
    assert again.entries == []


async def test_an_update_of_a_keyed_id_finds_its_row_by_the_entry(store: RememberingStore) -> None:
    await written(store, an_entry(record_id=KEYED))
    (row,) = rows(await written(store, an_update_of(KEYED, {"description": "a"}, 2)))
    assert (row.description, row.created_at) == ("a", A_TIME)


async def test_an_update_of_an_unknown_keyed_id_is_kept_for_its_create(store: RememberingStore) -> None:
    assert rows(await written(store, an_update_of(KEYED, {"description": "a"}, 1))) == []
    (row,) = rows(await written(store, an_entry(offset=2, record_id=KEYED)))
    assert row.description == "a"


# --- limits and refusals


async def test_an_update_that_was_voided_is_a_dead_letter_again_and_stays_out_of_force(store: RememberingStore) -> None:
    update = an_update_of(AN_ID, {"description": "poison"}, 2)
    await written(store, an_entry(), update)
    (patch,) = await store.patches([(SHOP, AN_ID)])
    await store.insert_patches([replace(patch, voidings=1)], "voided")
    changes = await folded(store, an_entry(), update)
    assert [(item.code, item.delivery.position.offset) for item in changes.rejected] == [(RejectCode.ROW_REFUSED, 2)]
    assert [event.position.offset for event in changes.rows[0].carries] == [1]
    assert rows(changes)[0].description is None


async def test_beyond_the_limit_of_events_updates_are_rejected_and_known_ones_are_not(store: RememberingStore) -> None:
    patch = an_update({"description": "a"}, 2).patch
    known = [
        replace(patch, position=Position(1, 0, offset), event_id=EventId(an_id(A_TIME, offset)))
        for offset in range(2, MAX_EVENTS_PER_RECORD + 2)
    ]
    await store.insert_patches(known, "t")
    known_update = an_update_of(AN_ID, {"description": "a"}, 2, event_id=known[0].event_id)
    changes = await folded(store, known_update, an_update_of(AN_ID, {"description": "b"}, MAX_EVENTS_PER_RECORD + 2))
    assert [(item.code, item.delivery.position.offset) for item in changes.rejected] == [
        (RejectCode.TOO_MANY_EVENTS, MAX_EVENTS_PER_RECORD + 2)
    ]


async def test_ids_of_different_projects_do_not_meet(store: RememberingStore) -> None:
    await written(store, an_entry({"description": "shop"}), an_entry({"description": "bank"}, 2, project="bank"))
    await written(store, an_update_of(AN_ID, {"description": "changed"}, 3, project="bank"))
    assert {identity[0]: row.description for identity, row in store.visible().items()} == {
        "shop": "shop",
        "bank": "changed",
    }


async def test_a_blob_is_named_by_project_so_that_none_reads_anothers(store: RememberingStore) -> None:
    changes = await folded(store, an_entry({"media": AN_IMAGE}), an_entry({"media": AN_IMAGE}, 2, project="bank"))
    assert {project for project, _ in changes.blobs} == {"shop", "bank"}


async def test_a_retry_that_was_accepted_before_the_one_that_is_stored_is_the_first(store: RememberingStore) -> None:
    stored = an_update_of(AN_ID, {"description": "a"}, 9)
    await written(store, an_entry(), stored, an_update_of(AN_ID, {"description": "b"}, 7))
    late = moved(stored, 5)
    other = an_update_of(AN_ID, {"description": "c"}, 10, event_id=EventId(an_id(A_TIME, 1009)))
    changes = await written(store, late, other)
    assert rows(changes)[0].description == "b"
    assert [item.delivery.position.offset for item in changes.rejected] == [10]
