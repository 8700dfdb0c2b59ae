"""What is too old leaves every table and the blob store, what is kept stays; where a run is cut short, another goes on.

Rows of three ages in two projects: `shop` says for how long, `bank` does not.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest
from clickhouse_connect.driver import Client

from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Position
from ledger.clock import from_milliseconds, to_milliseconds
from ledger.ids import EventId, ProjectId, RecordId, keyed_id
from ledger.patch import KeyEntry, Patch
from ledger.report import Kind
from ledger.request_log import Bodies
from ledger.retention import DAY_MS, DEFAULT, Installation, Policy
from ledger.store import StoreUnavailable
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.retention import Run, latest_run, read_policies, write_policy
from ledger.store.retention_deleting import TABLES, delete_rows, drop_part, mutations
from ledger.store.retention_room import bytes_of_tables
from tests.support.builders import ID_SECRET, a_request_log, an_id
from tests.support.chdb_fixtures import with_schema
from tests.support.events import a_delivery
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine
from workers.drivers.retaining import Retainer, RetainingPlan, run_retaining

T = TypeVar("T")

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
TODAY = to_milliseconds(NOW.replace(hour=0))
OLD, OLDER, NEW = TODAY - 15 * DAY_MS, TODAY - 100 * DAY_MS, TODAY - 2 * DAY_MS
"""OLD and NEW lie in the same month; OLD is younger than the thirty days of a key."""
YEAR = 366 * 24 * 3600  # blobs are dated by the machine's clock
AT_ONCE = RetainingPlan(quiet_seconds=0, mutation_seconds=0.001, blob_seconds=-YEAR)


async def at_once(_: float) -> None:
    """The pause of tests."""


class Killed(Exception):
    """What no part of the product expects: it ends there, as a process does."""


@dataclass(slots=True)
class Clock:
    """The time, as it is told."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Told(ClickHousePool):
    """A pool that does what it is told before every statement."""

    pool: ClickHousePool
    before: Callable[[Any], None]

    async def run(self, statement: Callable[[Client], T]) -> T:
        self.before(statement)
        return await self.pool.run(statement)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a project at a time, and the medium that it names."""

    project: ProjectId
    at: int
    number: int = 1
    media: bytes = b""

    @property
    def id(self) -> RecordId:
        return an_id(self.at, self.number)

    @property
    def hashes(self) -> tuple[str, ...]:
        return (sha256(self.media).hexdigest(),) if self.media else ()


def a_medium(project: ProjectId, at: int) -> bytes:
    return f"{project} {at}".encode()


@dataclass(frozen=True, slots=True)
class Place:
    """A store and a folder of blobs."""

    pool: ClickHousePool
    blobs: ObstoreBlobs
    clock: Clock = field(default_factory=Clock)

    @property
    def store(self) -> ClickHouseStore:
        return ClickHouseStore(self.pool, token_prefix=secrets.token_hex(8))

    def retainer(self, pool: ClickHousePool | None = None, **changes: Any) -> Retainer:
        parts = {"plan": AT_ONCE, "pause": at_once, **changes}
        return Retainer(pool or self.pool, self.blobs, self.clock, **parts)

    async def keep(self, project: ProjectId, days: int | None) -> None:
        latest = await self.pool.run(partial(read_policies, installation=Installation()))
        policy = Policy(project, days, len(latest.set_ones) + secrets.randbelow(2**30), "k")
        await self.pool.run(partial(write_policy, policy=policy))

    async def clear(self) -> None:
        for table in (*TABLES, "retention", "retention_runs"):
            await self.pool.run(lambda client, t=table: client.command(f"TRUNCATE TABLE {t}"))  # type: ignore[misc]

    async def count(self, table: str, where: str = "1") -> int:
        sql = f"SELECT count() FROM {table} WHERE {where}"
        return int((await self.pool.run(lambda client: client.query(sql))).result_rows[0][0])

    async def add(self, *calls: Call) -> None:
        """These calls, an update of each, and the media that they name."""
        rows = [
            a_request_log(project=of.project, created_at=of.at, ingested_at=of.at, id=of.id, media_hashes=of.hashes)
            for of in calls
        ]
        for of in calls:
            for name in of.hashes:
                await self.blobs.put(of.project, name, of.media)
        await self.store.insert_bodies(rows, "rows")
        await self.store.insert_rows(rows, "rows")
        await self.store.insert_patches([a_patch(of.project, of.id, of.at + 1, of.number) for of in calls], "patches")

    async def fill(self) -> None:
        """Calls of three ages; of each age in `shop` also one under a key and a dead letter."""
        await self.clear()
        ages = (OLDER, OLD, NEW)
        calls = [Call(project, at, media=a_medium(project, at)) for at in ages for project in (SHOP, BANK)]
        await self.add(*calls, Call(SHOP, NEW, 2, a_medium(SHOP, OLD)))  # it names what the old one names
        keys = {at: keyed_id(f"key {at}", ID_SECRET) for at in ages}
        entries = [KeyEntry(SHOP, key, Position(1, 0, at % 10**9), at, "hash") for at, key in keys.items()]
        await self.store.insert_key_entries(entries, "keys")
        patches = [a_patch(SHOP, key, TODAY, at % 10**9) for at, key in keys.items()]
        await self.store.insert_patches(patches, "patches of keys")
        for at in ages:
            dead = Rejected(a_delivery(b"dead", at % 10**9), RejectCode.BODY_UNREADABLE, "Unreadable")
            await TableQuarantine(self.pool, partial(from_milliseconds, at), "test").put([dead])

    async def stored(self, project: ProjectId) -> dict[str, list[int]]:
        """The ages in days of what the tables hold of a project, in any version."""
        ages = {
            "request_logs": "created_at",
            "request_bodies": "created_at",
            "request_keys": "created_at",
            "dead_letters": "first_dead_at",
        }
        found = {}
        for table, time in ages.items():
            days = f"dateDiff('day', toDate({time}, 'UTC'), toDate('2026-04-20'))"
            sql = f"SELECT arraySort(groupArray({days})) FROM {table} WHERE project = '{project}'"
            found[table] = (await self.pool.run(lambda client, s=sql: client.query(s))).result_rows[0][0]  # type: ignore[misc]
        sql = f"SELECT count() FROM request_patches WHERE project = '{project}'"
        found["request_patches"] = [(await self.pool.run(lambda client: client.query(sql))).result_rows[0][0]]
        return found

    async def media(self, project: ProjectId) -> set[bytes]:
        hashes = [blob.sha256 async for page in self.blobs.stored(project) for blob in page]
        return {bytes(await self.blobs.get(project, name) or b"") for name in hashes}


def a_patch(project: ProjectId, of: RecordId, at: int, offset: int, kind: Kind = Kind.LOG_UPDATE) -> Patch:
    return Patch(project, of, Position(1, 0, offset), EventId(an_id(at, offset)), kind, at, "", "hash", "{}")


@pytest.fixture(scope="module")
def pool(chdb_schema_dsn: str) -> Iterator[ClickHousePool]:
    opened = ClickHousePool(chdb_schema_dsn, threads=1)
    yield opened
    opened.close()


@pytest.fixture
async def place(pool: ClickHousePool, tmp_path: Path) -> Place:
    filled = Place(pool, ObstoreBlobs(tmp_path.as_uri()))
    await filled.fill()
    return filled


UNTOUCHED = {
    "request_logs": [2, 2, 15, 100],
    "request_bodies": [2, 2, 15, 100],
    "request_keys": [2, 15, 100],
    "dead_letters": [2, 15, 100],
    "request_patches": [7],
}
OF_SHOP_FOR_TEN_DAYS = {
    "request_logs": [2, 2],
    "request_bodies": [2, 2],
    "request_keys": [2, 15],
    "dead_letters": [2],
    "request_patches": [3],
}
OF_BANK = {
    "request_logs": [2, 15, 100],
    "request_bodies": [2, 15, 100],
    "request_keys": [],
    "dead_letters": [],
    "request_patches": [3],
}


async def test_what_is_too_old_leaves_every_table_and_nothing_else_does(place: Place) -> None:
    assert await place.stored(SHOP) == UNTOUCHED
    await place.keep(SHOP, 10)
    run = await place.retainer().run()
    assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS
    assert await place.stored(BANK) == OF_BANK
    assert await place.media(SHOP) == {a_medium(SHOP, NEW), a_medium(SHOP, OLD)}
    assert await place.media(BANK) == {a_medium(BANK, at) for at in (OLDER, OLD, NEW)}
    assert (run.finished_at is not None, run.error, run.blobs_owed, run.blobs) == (True, "", (), 1)
    assert run.rows == 2 + 2 + 1 + 2 + 4
    assert await place.pool.run(latest_run) == run


@pytest.mark.clickhouse
async def test_a_server_does_the_same(clickhouse_database: str, tmp_path: Path) -> None:
    pool = ClickHousePool(with_schema(clickhouse_database), threads=2)
    try:
        place = Place(pool, ObstoreBlobs(tmp_path.as_uri()))
        await place.fill()
        await place.keep(SHOP, 10)
        await place.keep(DEFAULT, 40)
        run = await place.retainer().run()
        assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS
        assert ((await place.stored(BANK))["request_logs"], run.parts > 0) == ([2, 15], True)
    finally:
        pool.close()


async def test_without_a_policy_nothing_goes(place: Place) -> None:
    run = await place.retainer().run()
    assert (await place.stored(SHOP), run.rows, run.parts) == (UNTOUCHED, 0, 0)


async def test_the_days_of_the_settings_hold_for_all(place: Place) -> None:
    await place.retainer(installation=Installation(default_days=10)).run()
    assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS
    assert (await place.stored(BANK))["request_logs"] == [2]
    assert await place.media(BANK) == {a_medium(BANK, NEW)}


async def mutations_of_calls(place: Place) -> int:
    return await place.count("system.mutations", "database = currentDatabase() AND table LIKE 'request_%'")


async def test_a_month_of_which_all_is_too_old_is_dropped_and_nothing_is_written_anew_for_it(place: Place) -> None:
    await place.pool.run(lambda client: client.command("TRUNCATE TABLE request_patches"))
    await place.keep(DEFAULT, 40)
    before = await mutations_of_calls(place)
    run = await place.retainer().run()
    parts = "database = currentDatabase() AND active AND partition_id = '202601' AND table LIKE 'request_%'"
    assert (await place.count("system.parts", parts), run.parts > 0, await mutations_of_calls(place)) == (
        0,
        True,
        before,
    )
    assert (await place.stored(BANK))["request_logs"] == [2, 15]


async def test_a_second_run_finds_nothing_to_do(place: Place) -> None:
    await place.keep(DEFAULT, 10)
    await place.retainer().run()
    before = await mutations_of_calls(place)
    run = await place.retainer().run()
    assert (run.rows, run.parts, run.blobs, await mutations_of_calls(place)) == (0, 0, 0, before)


async def killed_before(place: Place, number: int) -> bool:
    """Whether a run ended there: before its statement of this number, those that only wait not counted."""
    left = number

    def count(statement: Any) -> None:
        nonlocal left
        left -= statement is not mutations
        if left == 0:
            raise Killed

    try:
        await place.retainer(Told(place.pool, before=count)).run()
    except Killed:
        return True
    return False


async def test_wherever_a_run_is_killed_the_next_one_completes_it_and_what_is_kept_stays(place: Place) -> None:
    statements, killed = 0, True
    while killed:
        statements += 5
        await place.fill()
        await place.keep(SHOP, 10)
        killed = await killed_before(place, statements)
        between = await place.stored(SHOP)
        assert all(
            set(OF_SHOP_FOR_TEN_DAYS[table]) <= set(ages)
            for table, ages in between.items()
            if table != "request_patches"
        )
        await place.retainer().run()
        assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS, statements
        assert await place.media(SHOP) == {a_medium(SHOP, NEW), a_medium(SHOP, OLD)}, statements
        assert await place.stored(BANK) == OF_BANK
    assert statements > 15


async def test_what_comes_back_goes_with_the_next_run(place: Place) -> None:
    await place.keep(SHOP, 10)
    await place.retainer().run()
    await place.add(Call(SHOP, OLD, 7))
    assert (await place.stored(SHOP))["request_logs"] == [2, 2, 15]
    await place.retainer().run()
    assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS


async def test_a_run_takes_what_a_killed_process_has_left_of_a_blob(place: Place, tmp_path: Path) -> None:
    old, young = (tmp_path / "media" / "73686f70" / f"{name}#1" for name in ("old", "young"))
    old.parent.mkdir(parents=True, exist_ok=True)
    for file, age in ((old, 25 * 3600), (young, 23 * 3600)):
        file.write_bytes(b"the beg")
        os.utime(file, (NOW.timestamp() - age,) * 2)
    await place.retainer().run()
    assert (old.exists(), young.exists()) == (False, True)


async def test_a_blob_store_that_is_away_fails_no_run_that_owes_it_nothing(place: Place, tmp_path: Path) -> None:
    away = Retainer(place.pool, ObstoreBlobs((tmp_path / "away").as_uri()), place.clock, plan=AT_ONCE, pause=at_once)
    assert (await away.run()).finished_at is not None


async def test_that_a_record_was_deleted_is_never_forgotten(place: Place) -> None:
    deleted = a_patch(SHOP, an_id(OLDER, 1), OLDER + 2, 50, Kind.RECORD_DELETE)
    await place.store.insert_patches([deleted], "deletes")
    await place.keep(SHOP, 10)
    await place.retainer().run()
    assert await place.count("request_patches", f"project = 'shop' AND kind = '{deleted.kind}'") == 1


async def test_an_update_that_came_late_goes_with_its_record(place: Place) -> None:
    late = a_patch(SHOP, an_id(OLDER, 1), TODAY, 51)
    await place.store.insert_patches([late], "late")
    await place.keep(SHOP, 10)
    await place.retainer().run()
    assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS


async def test_an_update_under_a_key_whose_record_never_came_goes_by_its_own_age(place: Place) -> None:
    keys = [keyed_id(name, ID_SECRET) for name in ("never came", "may come")]
    waiting = [a_patch(SHOP, key, at, 60) for key, at in zip(keys, (OLD, NEW), strict=True)]
    await place.store.insert_patches(waiting, "waiting")
    await place.keep(SHOP, 10)
    await place.retainer().run()
    assert (await place.stored(SHOP))["request_patches"] == [3 + 1]


async def test_a_longer_time_that_is_set_before_the_deletion_begins_is_respected(place: Place) -> None:
    await place.keep(SHOP, 10)

    async def meanwhile(_: float) -> None:
        await place.pool.run(partial(write_policy, policy=Policy(SHOP, None, 2**40, "k")))

    await place.retainer(pause=meanwhile).run()
    assert await place.stored(SHOP) == UNTOUCHED


@pytest.mark.parametrize(("number", "step"), [(1, drop_part), (2, drop_part), (1, delete_rows), (2, delete_rows)])
async def test_a_longer_time_that_is_set_while_lots_are_deleted_saves_what_is_left(
    place: Place, number: int, step: Callable[..., None]
) -> None:
    """It is set right after a lot of a table is gone, or as the first is about to be looked at."""
    await place.keep(SHOP, 10)
    steps, late = 0, 0

    def lengthen(statement: Any) -> None:
        nonlocal steps, late
        called = getattr(statement, "func", None)
        late += called in (drop_part, delete_rows) and steps >= number
        if called is step:
            steps += 1
            if steps == number:
                place.pool.run_here(partial(write_policy, policy=Policy(SHOP, None, 2**40, "k")))

    await place.retainer(Told(place.pool, before=lengthen)).run()
    assert (steps, late) == (number, 0)


async def test_a_longer_time_that_is_set_meanwhile_spares_only_what_it_keeps(place: Place) -> None:
    await place.keep(SHOP, 10)
    await place.keep(BANK, 10)
    dropped = 0

    def lengthen(statement: Any) -> None:
        nonlocal dropped
        if getattr(statement, "func", None) is drop_part:
            dropped += 1
            if dropped == 1:
                place.pool.run_here(partial(write_policy, policy=Policy(SHOP, None, 2**40, "k")))

    await place.retainer(Told(place.pool, before=lengthen)).run()
    assert (await place.stored(BANK))["request_logs"] == [2]
    assert 15 in (await place.stored(SHOP))["request_logs"]


async def test_whole_months_go_before_anything_is_written_anew(place: Place) -> None:
    await place.keep(DEFAULT, 10)

    def refuse(statement: Any) -> None:
        if getattr(statement, "func", None) is delete_rows:
            raise StoreUnavailable("no room to write parts anew")

    with pytest.raises(StoreUnavailable):
        await place.retainer(Told(place.pool, before=refuse)).run()
    for table in ("request_logs", "request_bodies"):
        assert await place.count(table, f"created_at < fromUnixTimestamp64Milli(toInt64({OLD}))") == 0


async def test_a_run_that_fails_still_owes_the_media_of_what_it_deleted(place: Place) -> None:
    await place.keep(SHOP, 10)

    def refuse(statement: Any) -> None:
        if getattr(statement, "func", None) is drop_part and statement.keywords["table"] == "request_keys":
            raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await place.retainer(Told(place.pool, before=refuse)).run()
    await place.retainer().run()
    assert await place.media(SHOP) == {a_medium(SHOP, NEW), a_medium(SHOP, OLD)}


async def test_media_that_are_too_young_go_once_they_are_old_enough(place: Place) -> None:
    await place.keep(SHOP, 10)
    place.clock.now = datetime.now(UTC)  # blobs are dated by the machine's clock
    retainer = place.retainer(plan=RetainingPlan(quiet_seconds=0, mutation_seconds=0.001))
    run = await retainer.run()
    assert (run.finished_at is not None, run.blobs, run.blobs_owed) == (True, 0, (SHOP,))
    before = await place.media(SHOP)
    place.clock.now += timedelta(hours=23)
    await retainer.look()
    assert await place.media(SHOP) == before
    retainer.plan = RetainingPlan(quiet_seconds=0, mutation_seconds=0.001, run_seconds=YEAR)  # no nightly run does it
    place.clock.now += timedelta(hours=2)
    await retainer.look()
    latest = await place.pool.run(latest_run)
    assert latest is not None
    assert (len(before), len(await place.media(SHOP)), latest.blobs_owed) == (3, 0, ())


async def test_a_shorter_time_that_is_set_then_waits_for_the_next_run(place: Place) -> None:
    async def meanwhile(_: float) -> None:
        await place.pool.run(partial(write_policy, policy=Policy(SHOP, 10, 2**40, "k")))

    await place.retainer(pause=meanwhile).run()
    assert await place.stored(SHOP) == UNTOUCHED


async def test_a_part_that_is_merged_away_before_it_is_dropped_is_dealt_with(place: Place) -> None:
    await place.keep(DEFAULT, 40)
    merged = 0

    def merge(statement: Any) -> None:
        nonlocal merged
        if getattr(statement, "func", None) is drop_part:
            merged += 1
            table = statement.keywords["table"]
            place.pool.run_here(lambda client: client.command(f"OPTIMIZE TABLE {table} FINAL"))

    await place.retainer(Told(place.pool, before=merge)).run()
    assert (merged > 0, (await place.stored(BANK))["request_logs"]) == (True, [2, 15])


async def test_a_run_that_fails_says_why_and_the_next_look_tries_again(place: Place) -> None:
    await place.keep(SHOP, 10)
    broken = True

    def refuse(statement: Any) -> None:
        if broken and getattr(statement, "func", None) is drop_part:
            raise StoreUnavailable("gone for lunch")

    retainer = place.retainer(Told(place.pool, before=refuse))
    with pytest.raises(StoreUnavailable):
        await retainer.look()
    run = await place.pool.run(latest_run)
    assert run is not None
    assert (run.finished_at, run.error) == (None, "gone for lunch")
    broken = False
    await retainer.look()
    assert await place.stored(SHOP) == OF_SHOP_FOR_TEN_DAYS


async def test_a_run_is_due_once_a_day(place: Place) -> None:
    retainer = place.retainer()

    async def looked() -> Run | None:
        await retainer.look()
        return await place.pool.run(latest_run)

    first = await looked()
    place.clock.now += timedelta(hours=23)
    assert await looked() == first
    place.clock.now += timedelta(hours=1)
    second = await looked()
    assert second != first
    place.clock.now -= timedelta(days=3)  # a clock that is put back stops nothing
    assert await looked() != second


async def test_a_clock_that_leapt_ahead_deletes_nothing_for_a_day(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await place.keep(SHOP, 10)
    await place.keep(BANK, 200)
    await place.retainer().look()
    kept = await place.stored(BANK)
    place.clock.now += timedelta(days=3650)
    with caplog.at_level(logging.ERROR):
        await place.retainer().look()
        place.clock.now += timedelta(hours=23)
        await place.retainer().look()  # of another start
    assert await place.stored(BANK) == kept
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    place.clock.now += timedelta(hours=1)
    await place.retainer().look()
    assert (await place.stored(BANK))["request_logs"] == []


async def test_before_the_first_run_the_clock_is_compared_with_the_newest_row(place: Place) -> None:
    await place.keep(DEFAULT, 10)
    place.clock.now += timedelta(days=20)
    late = to_milliseconds(place.clock.now) - 1000
    await place.add(Call(SHOP, late, 9))  # by the wrong clock
    await place.retainer().look()
    assert set(UNTOUCHED["request_logs"]) <= set((await place.stored(SHOP))["request_logs"])
    place.clock.now -= timedelta(days=20)  # it was put right
    await place.retainer().look()
    assert 2 in (await place.stored(SHOP))["request_logs"]
    assert 100 not in (await place.stored(SHOP))["request_logs"]


async def test_media_wait_until_the_store_has_answered_for_a_while(place: Place) -> None:
    await place.keep(SHOP, 10)
    retainer = place.retainer(plan=RetainingPlan(blob_seconds=-YEAR, mutation_seconds=0.001))
    await retainer.look()
    assert len(await place.media(SHOP)) == 3
    place.clock.now += timedelta(seconds=RetainingPlan().quiet_seconds)
    await retainer.look()
    assert len(await place.media(SHOP)) == 2


async def test_the_one_who_is_to_delete_goes_on_after_a_failure_and_nobody_else_does(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    stop, looks = asyncio.Event(), []

    def fail(_: Any) -> None:
        looks.append("look")
        if len(looks) == 3:
            stop.set()
        raise StoreUnavailable("away")

    plan = RetainingPlan(first_seconds=0, look_seconds=0)
    with caplog.at_level(logging.ERROR):
        await run_retaining(place.retainer(Told(place.pool, before=fail), plan=plan), lambda: True, stop)
    assert (len(looks), len(caplog.records)) == (3, 3)


async def test_who_is_not_to_delete_does_not_even_look(place: Place) -> None:
    stop, asked = asyncio.Event(), []

    def not_ours() -> bool:
        asked.append("ours?")
        if len(asked) == 3:
            stop.set()
        return False

    def fail(_: Any) -> None:
        raise Killed

    plan = RetainingPlan(first_seconds=0, look_seconds=0)
    await run_retaining(place.retainer(Told(place.pool, before=fail), plan=plan), not_ours, stop)
    assert len(asked) == 3


async def fill_days(place: Place, days: int) -> None:
    """A hundred calls on each of the last days, of both projects, that cannot be compressed."""
    await place.clear()
    for day in range(days):
        await add_day(place, day)


async def add_day(place: Place, day: int, first: int = 0) -> None:
    at = TODAY - day * DAY_MS
    rows = [
        a_request_log(
            project=(SHOP, BANK)[number % 2],
            created_at=at + number,
            ingested_at=at + number,
            id=an_id(at + number, number),
            bodies=Bodies(prompt=secrets.token_hex(500)),
        )
        for number in range(first, first + 100)
    ]
    await place.store.insert_bodies(rows, "rows")
    await place.store.insert_rows(rows, "rows")


async def days_left(place: Place) -> list[int]:
    sql = "SELECT arraySort(groupUniqArray(dateDiff('day', toDate(created_at, 'UTC'), toDate('2026-04-20')))) FROM "
    found = [
        (await place.pool.run(lambda client, t=table: client.query(sql + t))).result_rows[0][0]  # type: ignore[misc]
        for table in ("request_logs", "request_bodies")
    ]
    assert found[0] == found[1]
    left: list[int] = found[0]
    return left


async def test_beyond_the_disk_cap_the_oldest_days_of_all_projects_go(place: Place) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    roomy = place.retainer(installation=Installation(max_bytes=2 * size))
    await roomy.look()
    assert await days_left(place) == list(range(12))
    most = size * 6 // 10
    retainer = place.retainer(installation=Installation(max_bytes=most))
    await retainer.look()
    left = await days_left(place)
    assert left == list(range(len(left)))
    assert 3 <= len(left) <= 7
    assert await place.pool.run(bytes_of_tables) <= most * 0.9
    policies = await place.pool.run(partial(read_policies, installation=Installation()))
    assert policies.cut_before == TODAY - (len(left) - 1) * DAY_MS
    await retainer.look()
    assert await days_left(place) == left


async def test_where_the_days_that_may_go_are_not_enough_nothing_goes_and_it_is_said_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await fill_days(place, 4)
    retainer = place.retainer(installation=Installation(max_bytes=1))
    with caplog.at_level(logging.ERROR):
        await retainer.look()
        await retainer.look()
    assert await days_left(place) == [0, 1, 2, 3]
    (record,) = caplog.records
    assert "would not make enough room" in record.message
    assert next(iter(vars(record)["tables"])) == "request_bodies"


async def test_the_cap_counts_what_a_cut_can_shrink(place: Place) -> None:
    await fill_days(place, 4)
    size = await place.pool.run(bytes_of_tables)
    await place.keep(SHOP, 900)
    assert await place.pool.run(bytes_of_tables) == size
    sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
    assert (await place.pool.run(lambda client: client.query(sql))).result_rows[0][0] > size


async def test_a_default_cap_that_was_exceeded_from_the_start_costs_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    with caplog.at_level(logging.ERROR):
        await place.retainer(installation=Installation(None, size * 6 // 10, cap_is_default=True)).look()
    assert await days_left(place) == list(range(12))
    assert ["LLMLEDGER_RETENTION__MAX_GB" in record.message for record in caplog.records] == [True]


async def test_a_store_that_grows_beyond_its_default_cap_is_cut(place: Place) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    retainer = place.retainer(installation=Installation(None, size * 3 // 2, cap_is_default=True))
    await retainer.look()
    assert await days_left(place) == list(range(12))
    for day in range(12):
        await add_day(place, day, 100)
    await retainer.look()
    left = await days_left(place)
    assert left == list(range(len(left)))
    assert 3 <= len(left) < 12


async def test_a_nightly_run_that_fails_keeps_the_cap_from_nothing_and_is_still_reported(place: Place) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    failures = 0

    def refuse_once(statement: Any) -> None:
        nonlocal failures
        if not failures and "cut" in getattr(statement, "keywords", {}):
            failures += 1
            raise StoreUnavailable("away")

    retainer = place.retainer(Told(place.pool, before=refuse_once), installation=Installation(max_bytes=size * 6 // 10))
    with pytest.raises(StoreUnavailable, match="away"):
        await retainer.look()
    assert (failures, 3 <= len(await days_left(place)) <= 7) == (1, True)


async def test_a_cut_that_failed_is_completed_before_more_is_cut(place: Place) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    failing = True

    def refuse(statement: Any) -> None:
        if failing and "cut" in getattr(statement, "keywords", {}) and "table" in statement.keywords:
            raise StoreUnavailable("away")

    installation = Installation(max_bytes=size * 6 // 10)
    retainer = place.retainer(Told(place.pool, before=refuse), installation=installation)
    await place.retainer().look()  # else the look begins with a run that is due
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await retainer.look()
    failing = False
    await retainer.look()
    assert 3 <= len(await days_left(place)) <= 7


async def test_where_no_room_can_be_made_either_both_failures_are_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await fill_days(place, 12)
    size = await place.pool.run(bytes_of_tables)
    failures = 0

    def refuse(statement: Any) -> None:
        nonlocal failures
        if "cut" in getattr(statement, "keywords", {}):
            failures += 1
            raise StoreUnavailable(f"failure {failures}")

    retainer = place.retainer(Told(place.pool, before=refuse), installation=Installation(max_bytes=size * 6 // 10))
    with pytest.raises(StoreUnavailable, match="failure 1"), caplog.at_level(logging.ERROR):
        await retainer.look()
    assert [vars(record)["error"] for record in caplog.records] == ["failure 2"]
