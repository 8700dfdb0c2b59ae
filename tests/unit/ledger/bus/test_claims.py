"""The claim check: what goes beside the bus, in which order, and what is answered when it does not get there."""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blobs import Claims
from ledger.bus import Position, Publisher, Record
from ledger.bus.claim_keeping import OF_ONE_CALL, PUT_AT_ONCE, Keeper, Turn
from ledger.bus.claims import ClaimingPublisher, is_name_of, most_bytes, new_name
from ledger.bus.kafka_records import wire_size
from ledger.bus.memory import MemoryBus
from ledger.errors import BodyNotKept, BusUnavailable, LedgerError, TooLargeForBus, Unavailable
from ledger.ids import EventId, ProjectId
from ledger.report import CLAIM_VERSION, Claim, decode, encode
from tests.support.claiming import RememberingClaims
from tests.support.events import AN_ID, SHOP, an_envelope

ABOVE = 5000
LARGE = bytes(range(256)) * 40
ENVELOPE = an_envelope(content_encoding="gzip", idempotency_key="order 17")
A_RECORD = Record(b"key", encode(ENVELOPE), LARGE, (("why", b"because"),), partition=3)


class Bench:
    """A bus of small records over a place for claims."""

    def __init__(self, *, deadline_seconds: float = 30.0) -> None:
        self.bus, self.claims = MemoryBus(), RememberingClaims()
        self.publisher = ClaimingPublisher(self.bus, self.claims, ABOVE, deadline_seconds=deadline_seconds)

    def claim(self, index: int = -1) -> Claim:
        """What the published record names."""
        claim = decode(self.bus.records[index].envelope).blob
        assert isinstance(claim, Claim)
        return claim


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_is_a_publisher_over_a_place_for_claims(bench: Bench) -> None:
    assert isinstance(bench.publisher, Publisher)
    assert isinstance(bench.claims, Claims)


async def test_a_record_that_fits_goes_as_it_is(bench: Bench) -> None:
    record = replace(A_RECORD, body=b"small")
    assert await bench.publisher.publish(record) == Position(1, 0, 0)
    assert await bench.publisher.publish_all([record, record]) == [Position(1, 0, 1), Position(1, 0, 2)]
    assert await bench.publisher.broadcast(record) == [Position(1, 0, 3)]
    assert bench.bus.records == [record] * 4
    assert bench.claims.bodies == {}


async def test_a_larger_one_goes_without_its_body_and_its_envelope_says_where_that_is(bench: Bench) -> None:
    assert await bench.publisher.publish(A_RECORD) == Position(1, 0, 0)
    (sent,) = bench.bus.records
    claim = bench.claim()
    assert sent == replace(A_RECORD, body=b"", envelope=sent.envelope)
    assert bench.claims.bodies == {claim.name: LARGE}
    assert claim.size == len(LARGE)
    named = decode(sent.envelope)
    assert named.version == CLAIM_VERSION
    expected = an_envelope(content_encoding="gzip", idempotency_key="order 17", version=CLAIM_VERSION, blob=claim)
    assert named == expected


async def test_the_body_is_durable_before_its_record_is_on_the_bus(bench: Bench) -> None:
    bench.claims.open = asyncio.Event()
    publishing = asyncio.create_task(bench.publisher.publish(A_RECORD))
    await bench.claims.until_putting(1)
    assert bench.bus.records == []
    bench.claims.open.set()
    await publishing
    assert len(bench.bus.records) == 1


async def test_every_attempt_has_a_claim_of_its_own(bench: Bench) -> None:
    """So a second body under the same idempotency key never takes the place of the one that was accepted."""
    other = bytes(reversed(LARGE))
    for body in (LARGE, other, LARGE):
        await bench.publisher.publish(replace(A_RECORD, body=body))
    assert [bench.claims.bodies[bench.claim(index).name] for index in range(3)] == [LARGE, other, LARGE]
    assert len(bench.claims.bodies) == 3


async def test_a_blob_store_that_is_away_is_an_outage_and_nothing_is_on_the_bus(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.claims.away_for = 1
    with caplog.at_level(logging.WARNING), pytest.raises(BusUnavailable, match="Not handed over, retry"):
        await bench.publisher.publish(A_RECORD)
    assert bench.bus.records == []
    assert "blob store" in caplog.text
    await bench.publisher.publish(A_RECORD)
    assert len(bench.bus.records) == 1


class RefusingBus(MemoryBus):
    """A bus that says this of every record."""

    def __init__(self, error: LedgerError) -> None:
        super().__init__()
        self.error = error

    async def publish(self, record: Record) -> Position:
        raise self.error


SURELY_NOT_THERE = [BusUnavailable("Not handed over, retry."), TooLargeForBus()]


@pytest.mark.parametrize("error", SURELY_NOT_THERE, ids=repr)
async def test_a_record_that_is_surely_not_on_the_bus_leaves_no_claim(bench: Bench, error: LedgerError) -> None:
    """Else an outage of the bus would fill the blob store: each retry brings the body again."""
    publisher = ClaimingPublisher(RefusingBus(error), bench.claims, ABOVE)
    with pytest.raises(type(error)):
        await publisher.publish(A_RECORD)
    assert await publisher.publish_all([A_RECORD, A_RECORD]) == [error, error]
    await publisher.close()
    assert bench.claims.bodies == {}


async def test_a_record_that_may_be_on_the_bus_keeps_its_claim(bench: Bench) -> None:
    error = BusUnavailable("Not confirmed, retry.")
    publisher = ClaimingPublisher(RefusingBus(error), bench.claims, ABOVE)
    with pytest.raises(BusUnavailable):
        await publisher.publish(A_RECORD)
    assert await publisher.publish_all([A_RECORD]) == [error]
    assert len(bench.claims.bodies) == 2


async def test_a_claim_that_cannot_be_taken_back_harms_nobody(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Forgetting(RememberingClaims):
        async def delete_claim(self, name: str) -> None:
            raise Unavailable("The blob store did not delete a blob.")

    publisher = ClaimingPublisher(RefusingBus(SURELY_NOT_THERE[0]), Forgetting(), ABOVE)
    with caplog.at_level(logging.WARNING), pytest.raises(BusUnavailable, match="Not handed over"):
        await publisher.publish(A_RECORD)
    await publisher.close()
    assert "stays until it is old" in caplog.text


async def test_only_so_many_bodies_are_on_their_way_at_once(bench: Bench) -> None:
    bench.claims.open = asyncio.Event()
    publishing = [asyncio.create_task(bench.publisher.publish(A_RECORD)) for _ in range(3 * PUT_AT_ONCE)]
    await bench.claims.until_putting(PUT_AT_ONCE)
    bench.claims.open.set()
    await asyncio.gather(*publishing)
    assert bench.claims.most_at_once == PUT_AT_ONCE
    assert len(bench.claims.bodies) == 3 * PUT_AT_ONCE


async def test_a_put_that_takes_too_long_is_answered_and_leaves_nothing_once_it_has_ended() -> None:
    bench = Bench(deadline_seconds=0.01)  # passes for every one of them
    bench.claims.open = asyncio.Event()
    publishing = (bench.publisher.publish(A_RECORD) for _ in range(PUT_AT_ONCE + 2))
    outcomes = await asyncio.gather(*publishing, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BodyNotKept] * (PUT_AT_ONCE + 2)
    assert bench.claims.putting == bench.claims.most_at_once == PUT_AT_ONCE
    bench.claims.open.set()
    await bench.claims.until(lambda: bench.claims.deleted == PUT_AT_ONCE)
    assert (bench.claims.putting, bench.claims.bodies, bench.bus.records) == (0, {}, [])


async def test_a_sender_that_goes_away_leaves_nothing_and_its_place_is_free_once_the_put_has_ended(
    bench: Bench,
) -> None:
    bench.claims.open = asyncio.Event()
    impatient = [asyncio.create_task(bench.publisher.publish(A_RECORD)) for _ in range(2 * PUT_AT_ONCE)]
    await bench.claims.until_putting(PUT_AT_ONCE)
    for task in impatient:
        task.cancel()
    await asyncio.wait(impatient)
    bench.claims.open.set()
    await asyncio.gather(*(bench.publisher.publish(A_RECORD) for _ in range(PUT_AT_ONCE)))
    await bench.claims.until(lambda: bench.claims.deleted == PUT_AT_ONCE)
    assert len(bench.bus.records) == PUT_AT_ONCE
    assert set(bench.claims.bodies) == {bench.claim(index).name for index in range(PUT_AT_ONCE)}


async def test_a_sender_of_several_that_goes_away_leaves_nothing(bench: Bench) -> None:
    bench.claims.open, bench.claims.open_for = asyncio.Event(), 1
    task = asyncio.create_task(bench.publisher.publish_all([A_RECORD] * 4))
    await bench.claims.until(lambda: (bench.claims.putting, len(bench.claims.bodies)) == (OF_ONE_CALL, 1))
    task.cancel()
    await asyncio.wait([task])
    bench.claims.open.set()
    await bench.claims.until(lambda: bench.claims.deleted == 1 + OF_ONE_CALL)
    assert (bench.claims.bodies, bench.bus.records) == ({}, [])


async def test_a_call_with_many_bodies_leaves_places_to_others(bench: Bench) -> None:
    bench.claims.open = asyncio.Event()
    many = asyncio.create_task(bench.publisher.publish_all([A_RECORD] * 10))
    await bench.claims.until_putting(OF_ONE_CALL)
    one = asyncio.create_task(bench.publisher.publish(replace(A_RECORD, key=b"of another")))
    await bench.claims.until_putting(OF_ONE_CALL + 1)
    assert bench.claims.putting == OF_ONE_CALL + 1
    bench.claims.open.set()
    assert isinstance(await one, Position)
    assert [type(outcome) for outcome in await many] == [Position] * 10


async def test_the_wait_for_a_place_takes_nothing_of_the_time_for_the_put(bench: Bench) -> None:
    bench.claims.open, keeper = asyncio.Event(), Keeper(bench.claims, deadline_seconds=30)
    too_late = asyncio.get_running_loop().time() - 1  # for whoever has to wait
    begun = [asyncio.create_task(keeper.keep(str(number), LARGE, Turn(too_late))) for number in range(PUT_AT_ONCE)]
    await bench.claims.until_putting(PUT_AT_ONCE)
    with pytest.raises(BodyNotKept):
        await keeper.keep("waiting", LARGE, Turn(too_late))
    bench.claims.open.set()
    await asyncio.gather(*begun)
    assert set(bench.claims.bodies) == set(map(str, range(PUT_AT_ONCE)))


async def test_of_a_call_that_takes_too_long_what_was_kept_counts_and_the_rest_may_come_again() -> None:
    bench = Bench(deadline_seconds=0.2)
    bench.claims.open, bench.claims.open_for = asyncio.Event(), 3
    records = [replace(A_RECORD, key=b"%d" % number) for number in range(30)]
    outcomes = await bench.publisher.publish_all(records)
    assert len([outcome for outcome in outcomes if isinstance(outcome, Position)]) == len(bench.bus.records) == 3
    assert {str(outcome) for outcome in outcomes if isinstance(outcome, LedgerError)} == {"Not handed over, retry."}
    bench.claims.open.set()
    await bench.publisher.close()


async def test_a_body_that_was_refused_is_not_held(bench: Bench) -> None:
    """Else an outage of the blob store would fill the memory: what is held in a cycle waits for the collector."""
    body = bytes(ABOVE)
    held, bench.claims.away_for = sys.getrefcount(body), 8
    gc.disable()
    try:
        for _ in range(2):
            with contextlib.suppress(BodyNotKept):
                await bench.publisher.publish(replace(A_RECORD, body=body))
            await bench.publisher.publish_all([replace(A_RECORD, body=body)])
            await bench.publisher.close()
        await asyncio.sleep(0)  # the loop lets go of what it ran last
        assert sys.getrefcount(body) == held
    finally:
        gc.enable()


async def test_of_several_records_each_gets_its_own_outcome_in_its_place(bench: Bench) -> None:
    bench.claims.away_for = 1
    small, unreadable = replace(A_RECORD, body=b"small"), replace(A_RECORD, envelope=b"{}")
    refused = replace(A_RECORD, key=b"other")
    outcomes = await bench.publisher.publish_all([small, refused, unreadable, A_RECORD, small])
    kinds: list[type[Position | LedgerError]] = [Position, BodyNotKept, TooLargeForBus, Position, Position]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert [record.body for record in bench.bus.records] == [b"small", b"", b"small"]


async def test_nothing_of_a_key_goes_ahead_of_what_is_to_be_sent_again(bench: Bench) -> None:
    bench.claims.away_for = 1
    small, other = replace(A_RECORD, body=b"small"), replace(A_RECORD, body=b"small", key=b"other")
    outcomes = await bench.publisher.publish_all([small, A_RECORD, small, other, A_RECORD])
    kinds: list[type[Position | LedgerError]] = [Position, BodyNotKept, BodyNotKept, Position, BodyNotKept]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert {str(outcome) for outcome in outcomes if isinstance(outcome, LedgerError)} == {"Not handed over, retry."}
    await bench.publisher.close()
    assert bench.claims.bodies == {}


@pytest.mark.parametrize(
    "envelope",
    [b"{}", b"", encode(an_envelope(event_id=EventId("../../etc"))), encode(an_envelope(accepted_at=2**62))],
)
async def test_a_large_record_whose_envelope_is_none_of_ours_is_too_large(bench: Bench, envelope: bytes) -> None:
    with pytest.raises(TooLargeForBus):
        await bench.publisher.publish(replace(A_RECORD, envelope=envelope))
    assert bench.claims.bodies == {}


@given(project=st.text(), accepted_at=st.integers(0, 2**41))
def test_a_name_belongs_to_its_project_and_to_no_other(project: str, accepted_at: int) -> None:
    name = new_name(an_envelope(project=ProjectId(project), accepted_at=accepted_at))
    assert is_name_of(name, ProjectId(project))
    assert not is_name_of(name, ProjectId(project + "x"))


def test_a_name_says_the_day_and_the_event() -> None:
    assert new_name(ENVELOPE).startswith(f"claims/{SHOP.encode().hex()}/2026-03-14/{AN_ID}-")


@pytest.mark.parametrize("name", ["", "claims/73686f70/2026-03-14/x", "media/73686f70/x", "claims/73686f70/../../x"])
def test_what_is_no_name_of_a_claim_is_nobodys(name: str) -> None:
    assert not is_name_of(name, SHOP)


headers = st.lists(st.tuples(st.text(max_size=80), st.binary(max_size=300)), max_size=20).map(tuple)


@given(st.builds(Record, st.binary(), st.binary(max_size=3000), st.binary(max_size=3000), headers))
def test_what_is_taken_for_a_records_size_is_never_less_than_what_the_bus_counts(record: Record) -> None:
    assert wire_size(record) <= most_bytes(record)


def _at_the_limit(limit: int, envelope: int) -> Iterator[Record]:
    """Records that are about as large as that, on both sides of it."""
    for beside in range(-80, 81):
        yield Record(b"k" * 60, bytes(envelope), bytes(limit - envelope - 60 + beside))


@pytest.mark.parametrize("limit", [2**14, 2**20 - 50_000, 2**21])
@pytest.mark.parametrize("envelope", [8_000, 8_192, 9_000])
def test_a_record_that_is_taken_for_small_is_never_too_large_for_the_bus(limit: int, envelope: int) -> None:
    for record in _at_the_limit(limit, envelope):
        assert 0 <= most_bytes(record) - wire_size(record) < 64
