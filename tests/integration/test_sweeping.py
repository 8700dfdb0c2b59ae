"""Claims go with their age, unless a dead letter needs them; nothing else goes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.blobs import SweepableClaims
from ledger.bus.claims import new_name
from ledger.clock import system_clock, to_milliseconds
from ledger.errors import BusUnavailable, Unavailable
from ledger.ids import ProjectId
from ledger.report import CLAIM_VERSION, Claim
from ledger.retention import DAY_MS
from ledger.store.clickhouse import ClickHousePool
from tests.support.builders import A_TIME, an_id
from tests.support.chdb_fixtures import with_schema
from tests.support.claiming import RememberingClaims
from tests.support.events import a_delivery, an_envelope
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine
from workers.drivers.sweeping import Sweeper, SweepingPlan, run_sweeping

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEPT_MS = 8 * DAY_MS
AT_ONCE = SweepingPlan(first_seconds=0, every_seconds=0)


@dataclass(slots=True)
class Bench:
    """Claims of any age, and a bus that keeps records for eight days."""

    pool: ClickHousePool
    claims: RememberingClaims = field(default_factory=RememberingClaims)
    kept: int | BusUnavailable | None = KEPT_MS

    def put(self, number: int, *, days: float) -> str:
        """A claim that was written so many days ago."""
        name = new_name(an_envelope(record_id=an_id(A_TIME, number)))
        self.claims.bodies[name] = b"body"
        self.claims.written_at[name] = to_milliseconds(NOW - timedelta(days=days))
        return name

    async def replayed(self, number: int, *, days: float, replays: int = 0) -> None:
        """That death was answered by a replay so many days ago."""
        row = [1, 0, number, replays, NOW - timedelta(days=days), 1, 0, 1000 + number]
        await self.pool.run(lambda client: client.insert("dead_letter_replays", [row]))

    async def died(self, number: int, name: str, *, envelope: bytes | None = None, replays: int = 0) -> None:
        """A dead letter that names the claim, unless it has another envelope."""
        delivery = a_delivery(b"", number, record_id=an_id(A_TIME, number), version=CLAIM_VERSION, blob=Claim(name, 4))
        delivery = replace(delivery, envelope=envelope or delivery.envelope, replays=replays)
        dead = Rejected(delivery, RejectCode.CLAIM_MISSING, "gone")
        await TableQuarantine(self.pool, lambda: NOW, "llmledger 1.0").put([dead])

    def sweeper(self, now: datetime = NOW) -> Sweeper:
        async def kept_ms() -> int | None:
            if isinstance(self.kept, BusUnavailable):
                raise self.kept
            return self.kept

        return Sweeper(self.pool, self.claims, lambda: now, kept_ms, AT_ONCE)


@pytest.fixture
async def bench(chdb_dsn: str) -> AsyncIterator[Bench]:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    yield Bench(pool)
    pool.close()


def test_the_fake_can_be_swept(bench: Bench) -> None:
    assert isinstance(bench.claims, SweepableClaims)


async def test_claims_older_than_any_record_go_and_younger_ones_stay(bench: Bench) -> None:
    for number in range(3):
        bench.put(number, days=9.01 + number)
    young = [bench.put(10, days=8.99), bench.put(11, days=0)]
    assert await bench.sweeper().sweep() == 3
    assert list(bench.claims.bodies) == young
    assert await bench.sweeper().sweep() == 0


async def test_a_claim_that_a_dead_letter_names_stays_however_old_it_is(bench: Bench) -> None:
    needed, other = bench.put(1, days=1000), bench.put(2, days=1000)
    await bench.died(1, needed)
    await bench.died(3, other, envelope=b'{"blob"')
    await bench.sweeper().sweep()
    assert list(bench.claims.bodies) == [needed]


async def test_a_claim_whose_dead_letter_was_replayed_goes_once_the_replay_is_read_for_sure(bench: Bench) -> None:
    lately, long_ago, again = (bench.put(number, days=1000) for number in (1, 2, 3))
    for number, name in ((1, lately), (2, long_ago), (3, again)):
        await bench.died(number, name)
    await bench.replayed(1, days=8.99)
    await bench.replayed(2, days=9.01)
    await bench.replayed(3, days=500)
    await bench.died(3, again, replays=1)
    await bench.sweeper().sweep()
    assert set(bench.claims.bodies) == {lately, again}


async def test_a_clock_of_ours_that_has_leapt_ahead_deletes_nothing(bench: Bench) -> None:
    now = system_clock()
    young = bench.put(1, days=-((now - NOW) / timedelta(days=1)))
    assert await bench.sweeper(now + timedelta(days=365)).sweep() == 0
    assert list(bench.claims.bodies) == [young]


async def test_many_claims_with_long_names_are_asked_for_in_several_statements(bench: Bench) -> None:
    project = ProjectId("ä" * 128)
    names = [new_name(an_envelope(project=project, record_id=an_id(A_TIME, number))) for number in range(450)]
    for name in names:
        bench.claims.bodies[name], bench.claims.written_at[name] = b"", 0
    bench.claims.listed_at_a_time = 500
    await bench.died(1, names[-1])
    assert await bench.sweeper().sweep() == 449
    assert list(bench.claims.bodies) == names[-1:]


async def test_where_the_bus_keeps_records_for_ever_every_claim_stays(bench: Bench) -> None:
    bench.put(1, days=1000)
    bench.kept = None
    assert await bench.sweeper().sweep() == 0
    assert len(bench.claims.bodies) == 1


async def test_what_is_no_claim_of_ours_stays(bench: Bench) -> None:
    bench.claims.bodies["claims/notes.txt"] = b"of somebody"
    bench.claims.written_at["claims/notes.txt"] = 0
    assert await bench.sweeper().sweep() == 0
    assert list(bench.claims.bodies) == ["claims/notes.txt"]


def away(bench: Bench) -> None:
    bench.claims.away_for = 1


def silent(bench: Bench) -> None:
    bench.kept = BusUnavailable("Kafka does not say.")


@pytest.mark.parametrize("trouble", [away, silent])
async def test_what_does_not_answer_is_asked_again_and_deletes_nothing(
    bench: Bench, trouble: Callable[[Bench], None]
) -> None:
    bench.put(1, days=1000)
    trouble(bench)
    with pytest.raises(Unavailable):
        await bench.sweeper().sweep()
    assert len(bench.claims.bodies) == 1
    bench.kept = KEPT_MS
    assert await bench.sweeper().sweep() == 1


async def test_only_who_owns_the_first_partition_sweeps_and_trouble_ends_nothing(bench: Bench) -> None:
    bench.put(1, days=1000)
    bench.claims.away_for = 2
    stop, looks = asyncio.Event(), iter([False, True, True, True])
    left: list[int] = []

    def ours() -> bool:
        left.append(len(bench.claims.bodies))
        mine = next(looks, None)
        if mine is None:
            stop.set()
        return bool(mine)

    await run_sweeping(bench.sweeper(), ours, stop)
    assert left == [1, 1, 1, 1, 0]
