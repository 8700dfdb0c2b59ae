"""The bytes of deleted records leave the disk: rows, updates, dead letters and blobs; and nothing else goes.

The proof: a text is searched for in every file of the engine's folder. It is found there before, in the files of parts
(the tables are uncompressed here: that changes how bytes look, not whether they are there), and in no file afterwards.
"""

import asyncio
import gzip
import json
import os
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import pytest
from clickhouse_connect.driver import Client

from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Delivery, Position, Record
from ledger.bus.claims import new_name
from ledger.clock import from_milliseconds, system_clock, to_milliseconds
from ledger.deletion import Deletion, Scope, record_deletion, scope_deletion
from ledger.ids import EventId, ProjectId, RecordId
from ledger.patch import Patch
from ledger.report import Claim, Kind
from ledger.request_log import Bodies, RequestLog
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore, insert, open_client
from ledger.store.columns import DELETION_COLUMNS
from ledger.store.erasures import Erasure
from ledger.store.migrations import available, drive, migrate
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.clickhouse_fixtures import fresh_database
from tests.support.events import a_delivery, an_entry, an_envelope, an_update_of
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine
from workers.drivers.erasing import Eraser, ErasingPlan
from workers.pipeline import process
from workers.wiring import standalone_deps

T = TypeVar("T")

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
HOUR_MS = 3_600_000
THE_EVENT = EventId(an_id(A_TIME + 50, 99))
DELETED_AT = Position(1, 0, 100)
ANN, BOB = an_id(A_TIME, 1), an_id(A_TIME, 2)
AT_ONCE = ErasingPlan(quiet_seconds=0)
_ERASURES = "SELECT erased_at, dead_letters FROM request_erasures FINAL"
HASTY = "old_parts_lifetime = 0, cleanup_delay_period = 0, cleanup_delay_period_random_add = 0, " + (
    "max_cleanup_delay_period = 1"
)
"""Replaced parts leave the disk at once; in the product they stay for eight minutes."""
SWEEPS = 2000


def a_text() -> str:
    """A text that stands nowhere else: dropped tables of other tests may still lie in the engine's folder."""
    return secrets.token_hex(40)


@dataclass(slots=True)
class Clock:
    """The time, as it is told; it moves with the machine's, since blobs are dated by the file system."""

    ahead_ms: int = 0

    def __call__(self) -> datetime:
        return from_milliseconds(to_milliseconds(system_clock()) + self.ahead_ms)


@dataclass(frozen=True, slots=True)
class Place:
    """A store, a folder of blobs, and the one who erases there."""

    dsn: str
    pool: ClickHousePool
    blobs: ObstoreBlobs
    clock: Clock = field(default_factory=Clock)

    @property
    def store(self) -> ClickHouseStore:
        return ClickHouseStore(self.pool)

    def eraser(self, plan: ErasingPlan = AT_ONCE, pool: ClickHousePool | None = None) -> Eraser:
        return Eraser(pool or self.pool, self.blobs, self.clock, plan)

    async def add(self, *rows: RequestLog, token: str | None = None) -> None:
        token = token or secrets.token_hex(8)
        await self.store.insert_bodies(rows, token)
        await self.store.insert_rows(rows, token)

    async def add_update(self, of: RecordId, text: str, offset: int) -> None:
        await self.store.insert_patches([a_patch(of, Position(1, 0, offset), Kind.LOG_UPDATE, text)], text)

    async def add_dead_letter(self, offset: int, body: bytes, **envelope: Any) -> None:
        dead = Rejected(a_delivery(body, offset, **envelope), RejectCode.BODY_UNREADABLE, "Unreadable")
        await TableQuarantine(self.pool, self.clock, "test").put([dead])

    async def delete(self, *ids: RecordId, scope: Scope = Scope.USER, what: str = "ann", **changes: Any) -> None:
        """What the pipeline leaves of a deletion: its row, a delete patch and a tombstone of each record."""
        kind = Kind.RECORD_DELETE if scope is Scope.ID else Kind.SCOPE_DELETE
        deletion = Deletion(SHOP, THE_EVENT, DELETED_AT, scope, what, A_TIME, found=len(ids), applied=True)
        deletion = replace(deletion, **changes)

        def write(client: Client) -> None:
            insert(client, "request_deletions", DELETION_COLUMNS, [deletion], str(deletion))

        await self.pool.run(write)
        await self.store.insert_progress([deletion.position])
        if ids:
            await self.store.insert_patches([a_patch(id_, DELETED_AT, kind, "{}") for id_ in ids], f"deletes {ids}")
            await self.add(*(a_tombstone(id_) for id_ in ids), token=f"tombstones {ids}")

    async def sweep_until_erased(self) -> Erasure:
        """Old parts go a moment after they were replaced: sweep until the deletion is noted as erased."""
        eraser = self.eraser()
        for _ in range(SWEEPS):
            (state,) = await eraser.sweep()
            if state.erased_at is not None:
                return state
        raise AssertionError(f"not erased after {SWEEPS} sweeps: {state}")

    async def value(self, sql: str) -> Any:
        return (await self.pool.run(lambda client: client.query(sql))).result_rows[0][0]

    def files_with(self, text: str) -> list[Path]:
        return [path for path in _files(Path(urlsplit(self.dsn).path)) if text.encode() in _bytes(path)]


def _files(folder: Path) -> list[Path]:
    """Everything below the folder; what the engine removes meanwhile may be missing."""
    return [Path(at) / name for at, _, names in os.walk(folder) for name in names]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it left the disk since it was found
        return b""


def a_patch(of: RecordId, at: Position, kind: Kind, body: str) -> Patch:
    return Patch(SHOP, of, at, EventId(an_id(A_TIME, at.offset)), kind, A_TIME + at.offset, "", "hash", body)


def a_row(id_: RecordId, text: str, **changes: Any) -> RequestLog:
    bodies = Bodies(prompt=text, raw_request=text, raw_response=text)
    return a_request_log(id=id_, project=SHOP, user_id=text, description=text, bodies=bodies, **changes)


def a_tombstone(id_: RecordId) -> RequestLog:
    empty = RequestLog(
        project=SHOP, created_at=A_TIME, id=id_, source="", ingested_at=A_TIME, updated_at=A_TIME, requested_at=A_TIME
    )
    return msgspec.structs.replace(empty, version=9, is_deleted=True, bodies=Bodies())


def with_tables(dsn: str, settings: str) -> None:
    """The ledger's tables, uncompressed, with these settings instead of the waiting time of old parts."""
    plain = [
        (version, ddl.replace("CODEC(ZSTD(1))", "CODEC(NONE)").replace("old_parts_lifetime = 480", settings))
        for version, ddl in available()
    ]
    client = open_client(dsn)
    try:
        drive(migrate(plain), client)
    finally:
        client.close()


@pytest.fixture
def place(request: pytest.FixtureRequest, chdb_dsn: str, tmp_path: Path) -> Iterator[Place]:
    with_tables(chdb_dsn, getattr(request, "param", HASTY))
    pool = ClickHousePool(chdb_dsn, threads=1)
    (tmp_path / "blobs").mkdir()
    yield Place(chdb_dsn, pool, ObstoreBlobs((tmp_path / "blobs").as_uri()))
    pool.close()


async def test_no_file_holds_what_was_deleted_and_every_file_what_was_not(place: Place) -> None:
    row, update, letter, kept = (a_text() for _ in range(4))
    await place.add(a_row(ANN, row), a_row(BOB, kept))
    await place.add_update(ANN, update, 50)
    await place.add_update(BOB, kept, 51)
    await place.add_dead_letter(60, letter.encode(), project=SHOP, record_id=ANN)
    await place.add_dead_letter(61, kept.encode(), project=SHOP, record_id=BOB)
    await place.delete(ANN)
    assert all(place.files_with(text) for text in (row, update, letter, kept))

    state = await place.sweep_until_erased()

    assert [place.files_with(text) for text in (row, update, letter)] == [[], [], []]
    assert state.dead_letters == 1
    (live,) = await place.store.rows([a_row(ANN, row).key, a_row(BOB, kept).key], with_bodies=True)
    assert live == a_row(BOB, kept)
    assert [patch.body for patch in await place.store.patches([(SHOP, ANN), (SHOP, BOB)])] == ["{}", kept, "{}"]
    assert await place.value("SELECT count() FROM request_logs WHERE is_deleted = 1") == 1
    assert await place.value("SELECT body FROM dead_letters FINAL") == kept


async def test_an_erased_deletion_is_left_alone(place: Place) -> None:
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN)
    await place.sweep_until_erased()
    assert await place.eraser().sweep() == []


async def test_a_record_that_a_deletion_takes_late_is_erased_too(place: Place) -> None:
    late = a_text()
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN)
    first = await place.sweep_until_erased()
    await place.add(a_row(BOB, late))  # by a replay
    await place.delete(BOB, found=2)
    second = await place.sweep_until_erased()
    assert (first.records, second.records) == (1, 2)
    assert place.files_with(late) == []
    assert await place.eraser().sweep() == []


@pytest.mark.parametrize("place", ["old_parts_lifetime = 480"], indirect=True)
async def test_it_is_not_erased_while_old_parts_lie_on_disk(place: Place) -> None:
    text = a_text()
    await place.add(a_row(ANN, text))
    await place.delete(ANN)
    for _ in range(2):
        (state,) = await place.eraser().sweep()
        assert state.erased_at is None
        assert state.old_parts > 0
    assert place.files_with(text)
    assert await place.value("SELECT count() FROM request_bodies WHERE is_deleted = 0") == 0


async def test_nothing_is_erased_before_every_partition_has_applied_it(place: Place) -> None:
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN, partitions=2)
    assert await place.eraser().sweep() == []
    await place.delete(position=Position(1, 1, 7), partitions=2, applied=False)
    assert await place.eraser().sweep() == []
    await place.delete(position=Position(1, 1, 7), partitions=2, applied=True)
    assert len(await place.eraser().sweep()) == 1


async def test_every_partition_means_those_of_the_bus_to_which_the_deletion_went(place: Place) -> None:
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN, position=Position(1, 1, 7), partitions=2)
    await place.delete(position=Position(2, 0, 3), partitions=3)  # asked for again, of a bus that has grown
    await place.delete(position=Position(2, 1, 3), partitions=3)
    assert await place.eraser().sweep() == []
    await place.delete(position=DELETED_AT, partitions=2)
    (state,) = await place.eraser().sweep()
    assert state.records == 1


async def test_nothing_is_erased_before_the_batch_of_the_deletion_is_written(place: Place) -> None:
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN, scope=Scope.ID, what=ANN)
    await place.pool.run(lambda client: client.command("TRUNCATE TABLE bus_progress"))
    assert await place.eraser().sweep() == []
    await place.store.insert_progress([replace(DELETED_AT, offset=DELETED_AT.offset - 1)])
    assert await place.eraser().sweep() == []
    await place.store.insert_progress([DELETED_AT])
    assert len(await place.eraser().sweep()) == 1


async def test_by_id_the_records_own_partition_is_enough(place: Place) -> None:
    await place.add(a_row(ANN, "text"))
    await place.delete(ANN, scope=Scope.ID, what=ANN)
    assert len(await place.eraser().sweep()) == 1


def packed(text: str) -> bytes:
    return gzip.compress(msgspec.json.encode({"user": text}), mtime=0)


@pytest.mark.parametrize(
    ("body", "goes"),
    [
        (b'{"user": "ann/\xc3\xbc", broken', True),
        (b'{"user": "ann/\\u00fc", broken', True),
        (b'{"user": "ann\\/\\u00fc", broken', True),
        (packed("ann/ü"), True),
        (b'{"user": "bob", broken', False),
        (packed("bob"), False),
        (packed("ann/ü")[:-9], False),
        (b'{"user": "bob", "text": "ann/\xc3\xbc"', False),
    ],
)
async def test_dead_letters_that_name_the_user_go(place: Place, body: bytes, *, goes: bool) -> None:
    await place.add_dead_letter(60, body, project=SHOP, record_id=BOB)
    await place.delete(what="ann/ü")
    (state,) = await place.eraser().sweep()
    assert await place.value("SELECT count() FROM dead_letters") == (0 if goes else 1)
    kept_as_unsure = body in {packed("ann/ü")[:-9], b'{"user": "bob", "text": "ann/\xc3\xbc"'}
    assert (state.dead_letters, state.unread_dead_letters) == (int(goes), int(kept_as_unsure))


async def a_claimed_dead_letter(place: Place, of: RecordId, offset: int) -> str:
    """A dead letter whose body is a claim; the name of that."""
    envelope = an_envelope(project=SHOP, record_id=of)
    name = new_name(envelope)
    await place.blobs.put_claim(name, b'{"user": "ann"}')
    await place.add_dead_letter(offset, b"", project=SHOP, record_id=of, version=3, blob=Claim(name, 15))
    return name


async def test_a_dead_letter_takes_the_claim_with_it_that_it_names(place: Place) -> None:
    gone, kept = await a_claimed_dead_letter(place, ANN, 60), await a_claimed_dead_letter(place, BOB, 61)
    await place.delete(ANN, scope=Scope.ID, what=ANN)
    (state,) = await place.eraser().sweep()
    assert (state.dead_letters, await place.value("SELECT count() FROM dead_letters")) == (1, 1)
    assert [await place.blobs.claim(gone), await place.blobs.claim(kept)] == [None, b'{"user": "ann"}']


async def test_a_dead_letter_whose_body_is_a_claim_may_be_the_users_so_it_is_kept_and_counted(place: Place) -> None:
    name = await a_claimed_dead_letter(place, BOB, 60)
    await place.delete(what="ann")
    (state,) = await place.eraser().sweep()
    assert (state.dead_letters, state.unread_dead_letters) == (0, 1)
    assert await place.blobs.claim(name) is not None


async def test_while_the_blob_store_is_away_everything_else_is_erased_and_those_letters_wait(
    place: Place, tmp_path: Path
) -> None:
    name, text = await a_claimed_dead_letter(place, ANN, 60), a_text()
    await place.add_dead_letter(61, text.encode(), project=SHOP, record_id=ANN)
    await place.add(a_row(ANN, text))
    await place.delete(ANN)
    (tmp_path / "blobs").rename(tmp_path / "away")
    for _ in range(3):
        assert await place.eraser().sweep() == []
    assert await place.value("SELECT groupArray(offset) FROM dead_letters") == [60]
    assert await place.value("SELECT count() FROM request_bodies WHERE is_deleted = 0") == 0
    (noted,) = (await place.pool.run(lambda client: client.query(_ERASURES))).result_rows
    assert noted == (None, 1)
    (tmp_path / "away").rename(tmp_path / "blobs")
    state = await place.sweep_until_erased()
    assert (state.dead_letters, await place.blobs.claim(name)) == (2, None)
    assert place.files_with(text) == []


@pytest.mark.parametrize("name", ["media/73686f70/" + "a" * 64, "claims/62616e6b/2026-03-14/x", "notes.txt", "../x"])
async def test_what_a_dead_letter_names_that_is_no_claim_of_its_project_stays(place: Place, name: str) -> None:
    bystander = new_name(an_envelope(project=BANK, record_id=ANN))
    await place.blobs.put_claim(bystander, b"of another project")
    await place.blobs.put(SHOP, "a" * 64, b"a picture")
    for offset, named in ((60, name), (61, bystander)):
        await place.add_dead_letter(offset, b"", project=SHOP, record_id=ANN, version=3, blob=Claim(named, 1))
    await place.delete(ANN, scope=Scope.ID, what=ANN)
    (state,) = await place.eraser().sweep()
    assert state.dead_letters == 2
    assert await place.blobs.claim(bystander) is not None
    assert await place.blobs.get(SHOP, "a" * 64) is not None


async def test_dead_letters_of_others_stay(place: Place) -> None:
    await place.add_dead_letter(60, b'{"user": "ann"}', project=BANK, record_id=BOB)  # of another project
    await place.add_dead_letter(101, b'{"user": "ann"}', project=SHOP, record_id=BOB)  # accepted after the deletion
    await place.delete(what="ann")
    (state,) = await place.eraser().sweep()
    assert (state.dead_letters, await place.value("SELECT count() FROM dead_letters")) == (0, 2)


async def test_dead_letters_are_not_searched_for_a_filter(place: Place) -> None:
    await place.add_dead_letter(60, b'{"user_id": "ann"}', project=SHOP, record_id=BOB)
    await place.delete(scope=Scope.FILTER, what='{"user_id": "ann"}')
    await place.eraser().sweep()
    assert await place.value("SELECT count() FROM dead_letters") == 1


async def test_a_dead_letter_of_a_deleted_record_goes_whenever_it_came(place: Place) -> None:
    await place.add_dead_letter(101, b"late", project=SHOP, record_id=ANN)
    await place.delete(ANN, scope=Scope.ID, what=ANN)
    await place.eraser().sweep()
    assert await place.value("SELECT count() FROM dead_letters") == 0


async def test_blobs_that_no_row_names_go_once_they_are_old(place: Place) -> None:
    hers, both, other = "a" * 64, "b" * 64, "c" * 64
    for project, sha256 in ((SHOP, hers), (SHOP, both), (BANK, hers), (SHOP, other)):
        await place.blobs.put(project, sha256, b"bytes")
    await place.add(a_row(ANN, "x", media_hashes=(hers, both)), a_row(BOB, "y", media_hashes=(both,)))
    await place.delete(ANN)

    eraser = place.eraser()
    (young,) = await eraser.sweep()
    assert await place.blobs.get(SHOP, hers) is not None
    assert young.erased_at is None
    assert young.blobs_until is not None
    place.clock.ahead_ms = 2 * HOUR_MS
    (old,) = await eraser.sweep()

    assert (old.blobs, old.blobs_until) == (2, None)
    there = [await place.blobs.get(SHOP, sha256) for sha256 in (hers, both, other)]
    assert there == [None, b"bytes", None]
    assert await place.blobs.get(BANK, hers) == b"bytes"


async def test_a_blob_that_came_after_the_deletion_is_not_looked_at(place: Place) -> None:
    place.clock.ahead_ms = -HOUR_MS
    await place.delete()
    await place.eraser().sweep()
    await place.blobs.put(SHOP, "a" * 64, b"of a report that is being stored")
    place.clock.ahead_ms = 24 * HOUR_MS
    await place.eraser().sweep()
    assert await place.blobs.get(SHOP, "a" * 64) is not None


async def test_blobs_wait_until_the_store_has_answered_for_a_while(place: Place) -> None:
    await place.blobs.put(SHOP, "a" * 64, b"bytes")
    await place.delete()
    place.clock.ahead_ms = 2 * HOUR_MS
    eraser = place.eraser(plan=ErasingPlan())
    (early,) = await eraser.sweep()
    assert (early.blobs, early.blobs_done) == (0, False)
    place.clock.ahead_ms += 700_000
    (later,) = await eraser.sweep()
    assert (later.blobs, later.blobs_done) == (1, True)


class Cut(BaseException):
    """The process died here."""


class CutPool(ClickHousePool):
    """A pool whose process dies before the k-th statement."""

    def __init__(self, dsn: str, statements: int) -> None:
        super().__init__(dsn, threads=1)
        self.left = statements

    async def run(self, statement: Callable[[Client], T]) -> T:
        if self.left == 0:
            raise Cut
        self.left -= 1
        return await super().run(statement)


async def test_a_sweep_that_is_cut_short_anywhere_is_finished_by_the_next(place: Place) -> None:
    row, update, letter = (a_text() for _ in range(3))
    await place.add(a_row(ANN, row))
    await place.add_update(ANN, update, 50)
    await place.add_dead_letter(60, letter.encode(), project=SHOP, record_id=ANN)
    await place.delete(ANN)
    cut = 0
    while True:
        pool = CutPool(place.dsn, cut)
        try:
            (state,) = await place.eraser(pool=pool).sweep()
            break
        except Cut:
            cut += 1
        finally:
            pool.close()
    assert cut > 5
    if state.erased_at is None:
        await place.sweep_until_erased()
    assert [place.files_with(text) for text in (row, update, letter)] == [[], [], []]


def as_read(record: Record, offset: int) -> Delivery:
    return Delivery(Position(1, 0, offset), record.key, record.envelope, record.body, record.headers)


@pytest.mark.parametrize("scope", list(Scope))
async def test_what_the_pipeline_stored_and_deleted_is_erased(place: Place, tmp_path: Path, scope: Scope) -> None:
    said, first, later, kept = (a_text() for _ in range(4))
    picture = b64encode(a_text().encode()).decode()
    media = {"request": [{"type": "image", "title": "a", "data": picture}]}
    entry = {"initiator": said, "request_data": {"q": first}, "media": media}
    deps = standalone_deps(place.pool, (tmp_path / "blobs").as_uri(), place.clock)
    batch = [
        an_entry(entry, 1, record_id=ANN),
        an_entry({"initiator": "bob", "request_data": {"q": kept}}, 2, record_id=BOB),
        an_update_of(ANN, {"response_data": {"a": later}}, 3),
    ]
    await process(deps, batch)
    assert all(place.files_with(text) for text in (said, first, later, kept))
    assert len([blob async for page in place.blobs.stored(SHOP) for blob in page]) == 1

    if scope is Scope.ID:
        record = record_deletion(SHOP, ANN, THE_EVENT, A_TIME)
    else:
        what = said if scope is Scope.USER else json.dumps({"user_id": said})
        record = scope_deletion(SHOP, THE_EVENT, (scope, what), A_TIME)
    await process(deps, [as_read(record, 100)])
    place.clock.ahead_ms = 2 * HOUR_MS
    state = await place.sweep_until_erased()

    # What was deleted stays named by the deletion itself, where it names a user or a filter.
    remaining = {file for text in (said, first, later) for file in place.files_with(text)}
    await place.pool.run(lambda client: client.command("TRUNCATE TABLE request_deletions"))
    assert bool(remaining) is (scope is not Scope.ID)
    assert [place.files_with(text) for text in (first, later)] == [[], []]
    assert state.blobs == 1
    assert [blob async for page in place.blobs.stored(SHOP) for blob in page] == []
    assert place.files_with(kept)
    await process(deps, [replace(delivery, replayed_at=Position(1, 0, 200), replays=1) for delivery in batch[:1]])
    assert await place.value("SELECT count() FROM request_logs FINAL WHERE is_deleted = 0") == 1
    assert place.files_with(first) == []


async def test_a_pool_with_a_long_statement_is_not_waited_for(chdb_dsn: str) -> None:
    pool = ClickHousePool(chdb_dsn, threads=1)
    begun, over = threading.Event(), threading.Event()

    def long_statement(_: Client) -> bool:
        begun.set()
        return over.wait(30)

    running = asyncio.create_task(pool.run(long_statement))
    await asyncio.to_thread(begun.wait)
    assert pool.close_within(0.01) is False
    over.set()
    assert await running is True
    pool.close()


async def test_a_pool_at_rest_is_closed(chdb_dsn: str) -> None:
    pool = ClickHousePool(chdb_dsn, threads=1)
    await pool.run(lambda client: client.query("SELECT 1"))
    assert pool.close_within(30) is True


@pytest.mark.clickhouse
async def test_a_server_is_asked_in_the_same_words(clickhouse_dsn: str, tmp_path: Path) -> None:
    with fresh_database(clickhouse_dsn) as dsn:
        with_tables(dsn, HASTY)
        pool = ClickHousePool(dsn, threads=1)
        (tmp_path / "blobs").mkdir()
        try:
            place = Place(dsn, pool, ObstoreBlobs((tmp_path / "blobs").as_uri()))
            await place.add(a_row(ANN, "hers"), a_row(BOB, "his"))
            await place.add_update(ANN, "her update", 50)
            await place.add_dead_letter(60, b'{"user": "ann"}', project=SHOP, record_id=BOB)
            await place.delete(ANN)
            state = await place.sweep_until_erased()
            assert (state.dead_letters, state.blobs_done) == (1, True)
            assert await place.value("SELECT groupArray(raw_request) FROM request_bodies WHERE is_deleted = 0") == [
                "his"
            ]
            assert await place.value("SELECT groupUniqArray(body) FROM request_patches") == ["{}"]
        finally:
            pool.close()
