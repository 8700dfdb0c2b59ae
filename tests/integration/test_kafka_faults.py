"""Faults of the produce protocol: a record that was confirmed is stored, every other one was refused in time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from ledger.bus import Position, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.errors import BusUnavailable, TooLarge
from ledger.settings import KafkaSection
from tests.support.kafka_mock import BrokerAnswer, MockCluster, a_mock_cluster
from tests.support.kafka_reading import everything_in
from tests.support.publishing import accepted

RETRIED = [
    BrokerAnswer.NOT_LEADER_FOR_PARTITION,
    BrokerAnswer.REQUEST_TIMED_OUT,
    BrokerAnswer.NOT_ENOUGH_REPLICAS,
    BrokerAnswer.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    BrokerAnswer.KAFKA_STORAGE_ERROR,
    BrokerAnswer.TRANSPORT,
]
FINAL = [
    BrokerAnswer.TOPIC_AUTHORIZATION_FAILED,
    BrokerAnswer.OUT_OF_ORDER_SEQUENCE_NUMBER,
    BrokerAnswer.DUPLICATE_SEQUENCE_NUMBER,
    BrokerAnswer.INVALID_PRODUCER_EPOCH,
    BrokerAnswer.UNKNOWN_PRODUCER_ID,
]
COORDINATOR = [
    BrokerAnswer.COORDINATOR_LOAD_IN_PROGRESS,
    BrokerAnswer.COORDINATOR_NOT_AVAILABLE,
    BrokerAnswer.NOT_COORDINATOR,
]


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with a_mock_cluster() as running:
        yield running


def a_section(cluster: MockCluster, deadline_seconds: float = 5.0) -> KafkaSection:
    cluster.create_topic("reports", 2)
    return KafkaSection(cluster.bootstrap_servers, topic="reports", partitions=2, deadline_seconds=deadline_seconds)


@asynccontextmanager
async def a_publisher(section: KafkaSection, stall_seconds: float | None = None) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(section, stall_seconds=stall_seconds)
    await publisher.start()
    await accepted(publisher, Record(b"key", b"{}", b"first"))
    yield publisher
    await publisher.close()


async def stored(section: KafkaSection) -> dict[Position, bytes | None]:
    return {delivery.position: delivery.body for delivery in await everything_in(section)}


@pytest.mark.parametrize("answer", RETRIED)
async def test_what_the_broker_may_still_take_is_tried_again_and_confirmed_when_stored(
    cluster: MockCluster, answer: BrokerAnswer
) -> None:
    section = a_section(cluster)
    async with a_publisher(section) as publisher:
        cluster.answer_produce(answer, answer)
        at = await publisher.publish(Record(b"key", b"{}", b"second"))
        assert (await stored(section))[at] == b"second"


@pytest.mark.parametrize("answer", [*RETRIED, *FINAL])
async def test_no_answer_of_the_broker_becomes_a_false_success(cluster: MockCluster, answer: BrokerAnswer) -> None:
    section = a_section(cluster)
    async with a_publisher(section) as publisher:
        confirmed: dict[Position, bytes] = {}
        for n in range(8):
            cluster.answer_produce(answer)
            try:
                confirmed[await publisher.publish(Record(b"key", b"{}", b"%d" % n))] = b"%d" % n
            except BusUnavailable:
                last = await accepted(publisher, Record(b"key", b"{}", b"after %d" % n))  # by a new producer
                confirmed[last] = b"after %d" % n
        assert confirmed.items() <= (await stored(section)).items()
        assert len(confirmed) == 8


@pytest.mark.parametrize("answer", FINAL)
async def test_what_the_broker_refuses_for_good_is_not_confirmed_and_the_producer_is_replaced(
    cluster: MockCluster, answer: BrokerAnswer
) -> None:
    section = a_section(cluster)
    async with a_publisher(section) as publisher:
        cluster.answer_produce(answer)
        with pytest.raises(BusUnavailable, match="Not confirmed, retry"):
            await publisher.publish(Record(b"key", b"{}", b"refused"))
        at = await accepted(publisher, Record(b"key", b"{}", b"by another producer"))
        assert (await stored(section))[at] == b"by another producer"


@pytest.mark.parametrize("answer", COORDINATOR)
async def test_a_producer_that_is_not_let_in_at_first_gets_in_by_itself(
    cluster: MockCluster, answer: BrokerAnswer
) -> None:
    section = a_section(cluster)
    cluster.answer_init_producer_id(answer, answer)
    async with a_publisher(section) as publisher:
        at = await publisher.publish(Record(b"key", b"{}", b"second"))
        assert (await stored(section))[at] == b"second"


async def test_while_a_partition_has_no_leader_most_are_refused_without_waiting(cluster: MockCluster) -> None:
    section = a_section(cluster, deadline_seconds=0.5)
    async with a_publisher(section, stall_seconds=1.0) as publisher:
        at = await publisher.publish(Record(b"key", b"{}", b"led"))
        cluster.set_leaderless("reports", at.partition, leaderless=True)
        cluster.answer_produce(BrokerAnswer.NOT_LEADER_FOR_PARTITION)
        outcomes: list[BaseException] = []
        for _ in range(40):
            (outcome,) = await asyncio.gather(publisher.publish(Record(b"key", b"{}", b"x")), return_exceptions=True)
            assert isinstance(outcome, BusUnavailable)
            outcomes.append(outcome)
        cluster.set_leaderless("reports", at.partition, leaderless=False)
        again = await accepted(publisher, Record(b"key", b"{}", b"again"))
        assert (await stored(section))[again] == b"again"
    waited = [outcome for outcome in outcomes if str(outcome) == "Not confirmed, retry."]
    assert 1 <= len(waited) < 5


async def test_a_record_that_the_broker_finds_too_large_is_its_senders_fault(cluster: MockCluster) -> None:
    section = a_section(cluster)
    async with a_publisher(section) as publisher:
        cluster.answer_produce(BrokerAnswer.MESSAGE_TOO_LARGE)
        with pytest.raises(TooLarge):
            await publisher.publish(Record(b"key", b"{}", b"huge"))
        await accepted(publisher, Record(b"key", b"{}", b"small"))


async def test_a_partition_without_a_leader_holds_up_no_other_and_recovers_by_itself(cluster: MockCluster) -> None:
    section = a_section(cluster, deadline_seconds=0.5)
    async with a_publisher(section, stall_seconds=1.0) as publisher:
        led, leaderless = b"key", b"other"
        at = await publisher.publish(Record(led, b"{}", b"led"))
        stuck_at = await publisher.publish(Record(leaderless, b"{}", b"not yet leaderless"))
        assert at.partition != stuck_at.partition
        cluster.set_leaderless("reports", stuck_at.partition, leaderless=True)
        cluster.answer_produce(BrokerAnswer.NOT_LEADER_FOR_PARTITION)  # which makes the client look for the leader
        with pytest.raises(BusUnavailable, match="retry"):
            await publisher.publish(Record(leaderless, b"{}", b"lost"))
        await accepted(publisher, Record(led, b"{}", b"still led"))
        cluster.set_leaderless("reports", stuck_at.partition, leaderless=False)
        again = await accepted(publisher, Record(leaderless, b"{}", b"again"))
        assert (await stored(section))[again] == b"again"


async def test_while_the_broker_is_away_publishing_fails_in_time_and_then_goes_on(cluster: MockCluster) -> None:
    section = a_section(cluster, deadline_seconds=0.5)
    async with a_publisher(section, stall_seconds=1.0) as publisher:
        cluster.set_up(False)
        failures = [publisher.publish(Record(b"key-%d" % n, b"{}", b"lost")) for n in range(50)]
        outcomes = await asyncio.gather(*failures, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BusUnavailable}
        cluster.set_up(True)
        at = await accepted(publisher, Record(b"key", b"{}", b"back"))
        assert (await stored(section))[at] == b"back"
    assert publisher.held_bytes == 0
