"""A lane answers every record exactly once, whatever its producer does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from ledger.bus import Position, Record
from ledger.bus.group_commit import GroupCommit, Held
from ledger.bus.kafka_lanes import Lane, LanePlan, Outcome, Stalled
from ledger.errors import BusUnavailable, TooLarge
from tests.support.producing import FakeProducer, StoredBatch

PATIENT = LanePlan("topic", generation=3, batch_bytes=1000, deadline_seconds=60.0, stall_seconds=60.0)
HURRIED = replace(PATIENT, deadline_seconds=0.01)


@dataclass(slots=True)
class Road:
    """A lane that runs, its producer, and the failures that it reported."""

    lane: GroupCommit[Record, Outcome]
    producer: FakeProducer
    held: Held
    failures: list[Exception] = field(default_factory=list)

    def put(self, body: bytes) -> asyncio.Task[Position]:
        return asyncio.create_task(self._put(Record(b"key", b"{}", body)))

    async def _put(self, record: Record) -> Position:
        (outcome,) = await self.lane.submit([record], 10)
        if isinstance(outcome, Position):
            return outcome
        raise outcome

    async def one_in_flight(self, body: bytes = b"in flight") -> asyncio.Task[Position]:
        """A record that was handed over and is not answered yet."""
        self.producer.holding = True
        task = self.put(body)
        await self.producer.handed.wait()
        self.producer.handed.clear()
        return task


@asynccontextmanager
async def a_road(producer: FakeProducer, plan: LanePlan = PATIENT) -> AsyncIterator[Road]:
    failures: list[Exception] = []
    held = Held()
    way = Lane(plan, 5, producer, failures.append)
    lane = GroupCommit(way.commit, max_bytes=plan.batch_bytes, deadline=plan.deadline_seconds, held=held)
    async with asyncio.timeout(20):
        yield Road(lane, producer, held, failures)
    await lane.abort()


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until it is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what a lane holds is a number, not an event)
            await asyncio.sleep(0)


async def test_a_lone_record_is_sent_at_once_and_gets_its_position() -> None:
    async with a_road(FakeProducer()) as road:
        assert await road.put(b"one") == Position(3, 5, 0)
        assert road.producer.batches == [[b"one"]]


async def test_what_comes_while_a_batch_is_in_flight_goes_together_in_the_next_one() -> None:
    async with a_road(FakeProducer()) as road:
        first = await road.one_in_flight()
        later = [road.put(b"%d" % n) for n in range(3)]
        await until(lambda: road.held.bytes == 40)
        road.producer.holding = False
        road.producer.deliveries[0].set_result(StoredBatch(100))
        positions = await asyncio.gather(first, *later)
        assert road.producer.batches == [[b"in flight"], [b"0", b"1", b"2"]]
        assert positions == [Position(3, 5, offset) for offset in (100, 1, 2, 3)]


async def test_a_record_that_does_not_fit_opens_the_next_batch() -> None:
    async with a_road(FakeProducer(room=2), replace(PATIENT, batch_bytes=20)) as road:
        positions = await asyncio.gather(*(road.put(b"%d" % n) for n in range(5)))
        assert road.producer.batches == [[b"0", b"1"], [b"2", b"3"], [b"4"]]
        assert [at.offset for at in positions] == [0, 1, 2, 3, 4]


async def test_a_record_that_the_batch_did_not_take_was_surely_not_handed_over() -> None:
    async with a_road(FakeProducer(room=1)) as road:
        outcomes = await asyncio.gather(road.put(b"0"), road.put(b"1"), return_exceptions=True)
        assert road.producer.batches == [[b"0"]]
        assert [str(outcome) for outcome in outcomes[1:]] == ["Not handed over, retry."]


async def test_a_failed_batch_fails_exactly_its_records_and_the_lane_lives() -> None:
    async with a_road(FakeProducer()) as road:
        doomed = await road.one_in_flight()
        waiting = road.put(b"waiting")
        await until(lambda: road.held.bytes == 20)
        road.producer.holding = False
        error = KafkaError("lost")
        road.producer.deliveries[0].set_exception(error)
        with pytest.raises(BusUnavailable, match="Not confirmed, retry"):
            await doomed
        assert await waiting == Position(3, 5, 1)
        assert road.failures == [error]


async def test_a_batch_that_the_producer_did_not_take_is_surely_not_stored() -> None:
    error = KafkaError("closed")
    async with a_road(FakeProducer(refusal=error)) as road:
        with pytest.raises(BusUnavailable, match="Not handed over, retry"):
            await road.put(b"one")
        assert await road.put(b"two") == Position(3, 5, 0)
        assert road.failures == [error]


async def test_a_record_still_waiting_at_its_deadline_leaves_the_lane() -> None:
    async with a_road(FakeProducer(), HURRIED) as road:
        await road.one_in_flight()
        with pytest.raises(BusUnavailable, match="Not handed over, retry"):
            await road.put(b"late")
        road.producer.deliveries[0].set_result(StoredBatch(0))
        await road.lane.until_idle()
        assert road.producer.batches == [[b"in flight"]]


async def test_a_record_handed_over_by_its_deadline_stays_counted_until_its_fate_is_known() -> None:
    async with a_road(FakeProducer(), HURRIED) as road:
        in_flight = await road.one_in_flight()
        with pytest.raises(BusUnavailable, match="Not confirmed, retry"):
            await in_flight
        assert road.held.bytes == 10
        road.producer.deliveries[0].set_result(StoredBatch(0))
        await road.lane.until_idle()
        assert road.held.bytes == 0


async def test_a_sender_that_goes_away_takes_its_waiting_record_with_it() -> None:
    async with a_road(FakeProducer()) as road:
        first = await road.one_in_flight()
        gone, stays = road.put(b"gone"), road.put(b"stays")
        await until(lambda: road.held.bytes == 30)
        gone.cancel()
        await until(gone.done)
        road.producer.holding = False
        road.producer.deliveries[0].set_result(StoredBatch(0))
        assert await asyncio.gather(*[first, stays]) == [Position(3, 5, 0), Position(3, 5, 1)]
        assert road.producer.batches[1:] == [[b"stays"]]


async def test_a_sender_that_goes_away_after_the_handing_over_harms_nobody() -> None:
    async with a_road(FakeProducer()) as road:
        gone = await road.one_in_flight()
        gone.cancel()
        await until(gone.done)
        assert road.held.bytes == 10
        road.producer.holding = False
        road.producer.deliveries[0].set_result(StoredBatch(0))
        assert await road.put(b"next") == Position(3, 5, 1)
        assert road.failures == []


async def test_a_lone_record_that_the_broker_finds_too_large_is_told_so() -> None:
    async with a_road(FakeProducer(answer=MessageSizeTooLargeError())) as road:
        with pytest.raises(TooLarge):
            await road.put(b"huge")
        assert len(road.failures) == 1


async def test_of_several_records_in_a_batch_that_is_too_large_none_is_blamed() -> None:
    async with a_road(FakeProducer(answer=MessageSizeTooLargeError())) as road:
        outcomes = await asyncio.gather(road.put(b"one"), road.put(b"two"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [BusUnavailable, BusUnavailable]


async def test_a_record_that_cannot_be_encoded_fails_alone() -> None:
    async with a_road(FakeProducer()) as road:
        bodies = [b"good", b"cannot be encoded", b"too"]
        outcomes = await asyncio.gather(*(road.put(body) for body in bodies), return_exceptions=True)
        assert isinstance(outcomes.pop(1), TypeError)
        assert outcomes == [Position(3, 5, 0), Position(3, 5, 1)]
        assert road.held.bytes == 0


async def test_a_batch_of_which_nothing_can_be_encoded_is_not_sent() -> None:
    async with a_road(FakeProducer()) as road:
        with pytest.raises(TypeError):
            await road.put(b"cannot be encoded")
        assert (road.producer.batches, road.failures) == ([], [])


async def test_a_batch_whose_place_the_broker_no_longer_knows_is_not_confirmed() -> None:
    async with a_road(FakeProducer()) as road:
        task = await road.one_in_flight()
        road.producer.deliveries[0].set_result(StoredBatch(-1))
        with pytest.raises(BusUnavailable, match="Not confirmed"):
            await task


async def test_a_producer_that_never_answers_is_reported() -> None:
    async with a_road(FakeProducer(holding=True), replace(PATIENT, stall_seconds=0.01)) as road:
        waiting = road.put(b"one")
        await until(lambda: bool(road.failures))
        assert [type(error) for error in road.failures] == [Stalled]
        assert not waiting.done()
    with pytest.raises(BusUnavailable, match="Not confirmed"):
        await waiting


async def test_a_producer_that_has_answered_is_not_reported_later() -> None:
    async with a_road(FakeProducer(), replace(PATIENT, stall_seconds=0.01)) as road:
        await road.put(b"one")
        past_the_stall = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, past_the_stall.set)  # behind the watch, were it still there
        await past_the_stall.wait()
        assert road.failures == []


async def test_when_the_lane_ends_everybody_is_answered() -> None:
    async with a_road(FakeProducer()) as road:
        in_flight = await road.one_in_flight()
        waiting = road.put(b"waiting")
        await until(lambda: road.held.bytes == 20)
    outcomes = await asyncio.gather(in_flight, waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["Not confirmed, retry.", "Not handed over, retry."]
    assert road.held.bytes == 0
