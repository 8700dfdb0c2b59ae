"""A publisher before, between and after its producers. What goes over the wire is another test's matter."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from ledger.bus import Position, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.errors import BusUnavailable, TooLarge, TooLargeForBus
from ledger.settings import KafkaSection
from tests.support.producing import FakeProducer, StoredBatch
from tests.support.publishing import accepted

SECTION = KafkaSection("nowhere:9092", partitions=1)
A_RECORD = Record(b"key", b"{}", b"body")


class FakeClosing:
    """The parts of aiokafka's producer that letting go of one touches."""

    def __init__(self, log: list[str], name: str, *, stuck: bool = False) -> None:
        self._log = log
        self._name = name
        self._stuck = stuck
        self.sender_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        self._log.append(self._name)
        if self._stuck:
            raise KafkaError("stuck")


class ClosableProducer(FakeProducer):
    """A fake producer with what is closed when a session ends."""

    def __init__(self, *, holding: bool = False, answer: Exception | None = None, stuck: bool = False) -> None:
        super().__init__(holding=holding, answer=answer)
        self.closed: list[str] = []
        self._closed = False
        self._sender = FakeClosing(self.closed, "sender", stuck=stuck)
        self.client = FakeClosing(self.closed, "client")


@dataclass(slots=True)
class Producers:
    """Hands out the producers of the test one after the other; an exception stands for Kafka being away."""

    planned: list[ClosableProducer | Exception]
    asked: list[str] = field(default_factory=list)

    async def open(self, section: KafkaSection, topic: str) -> ClosableProducer:
        self.asked.append(topic)
        if not self.planned:
            await asyncio.Event().wait()
        planned = self.planned.pop(0)
        if isinstance(planned, Exception):
            raise planned
        return planned


@asynccontextmanager
async def a_publisher(
    *planned: ClosableProducer | Exception,
    section: KafkaSection = SECTION,
    topic: str | None = None,
    max_held_bytes: int = 1000,
) -> AsyncIterator[KafkaPublisher]:
    producers = Producers(list(planned))
    publisher = KafkaPublisher(section, topic, open_producer=producers.open, max_held_bytes=max_held_bytes)
    await publisher.start()
    async with asyncio.timeout(20):
        yield publisher
    await publisher.close()


async def test_until_kafka_is_there_publishing_is_refused_at_once() -> None:
    async with a_publisher() as publisher:
        with pytest.raises(BusUnavailable, match="Not handed over, retry"):
            await publisher.publish(A_RECORD)
        assert not publisher.connected


async def test_before_the_start_and_after_the_end_publishing_is_refused() -> None:
    producer = ClosableProducer()
    publisher = KafkaPublisher(SECTION, open_producer=Producers([producer]).open)
    with pytest.raises(BusUnavailable):
        await publisher.publish(A_RECORD)
    await publisher.start()
    await accepted(publisher, A_RECORD)
    await publisher.close()
    with pytest.raises(BusUnavailable):
        await publisher.publish(A_RECORD)
    assert producer.closed == ["sender", "client"]


async def test_a_publisher_that_was_never_started_can_be_closed() -> None:
    await KafkaPublisher(SECTION).close()


async def test_it_connects_again_and_again_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    away = KafkaConnectionError("away")
    with caplog.at_level(logging.WARNING, "ledger.bus.kafka"):
        async with a_publisher(away, away, ClosableProducer()) as publisher:
            await accepted(publisher, A_RECORD)
    assert [record.message for record in caplog.records] == ["Waiting for Kafka."]


async def test_the_topic_of_the_settings_is_used_unless_another_is_given() -> None:
    producers = Producers([ClosableProducer(), ClosableProducer()])
    for topic in (None, "another"):
        publisher = KafkaPublisher(SECTION, topic, open_producer=producers.open)
        await publisher.start()
        await accepted(publisher, A_RECORD)
        await publisher.close()
    assert producers.asked == [SECTION.topic, "another"]


async def test_a_producer_that_failed_a_batch_is_replaced() -> None:
    broken, whole = ClosableProducer(answer=KafkaError("out of order")), ClosableProducer()
    async with a_publisher(broken, whole) as publisher:
        await accepted(publisher, A_RECORD)
        assert whole.batches == [[b"body"]]
        assert broken.closed == ["sender", "client"]


async def test_a_producer_that_ends_by_itself_is_replaced_also_when_there_is_nothing_to_send() -> None:
    ending, whole = ClosableProducer(), ClosableProducer()
    async with a_publisher(ending, whole) as publisher:
        await accepted(publisher, A_RECORD)
        ending._sender.sender_task.set_result(None)
        while publisher.connected:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)
        await accepted(publisher, A_RECORD)
        assert (ending.batches, whole.batches) == ([[b"body"]], [[b"body"]])


async def test_after_a_failure_one_record_tries_while_the_others_are_refused_at_once() -> None:
    broken, slow = ClosableProducer(answer=KafkaError("no leader")), ClosableProducer(holding=True)
    async with a_publisher(broken, slow) as publisher:
        with pytest.raises(BusUnavailable):
            await publisher.publish(A_RECORD)
        trial = asyncio.create_task(accepted(publisher, A_RECORD))
        await slow.handed.wait()
        for _ in range(3):
            with pytest.raises(BusUnavailable, match="Not handed over"):
                await publisher.publish(A_RECORD)
        slow.deliveries[0].set_result(StoredBatch(0))
        await trial
        slow.holding = False
        await asyncio.gather(*(publisher.publish(A_RECORD) for _ in range(3)))


async def test_a_producer_that_cannot_be_closed_does_not_stop_the_next_one() -> None:
    stuck, whole = ClosableProducer(answer=KafkaError("out of order"), stuck=True), ClosableProducer()
    async with a_publisher(stuck, whole) as publisher:
        await accepted(publisher, A_RECORD)
        assert stuck.closed == ["sender", "client"]


async def test_closing_waits_for_what_is_under_way() -> None:
    producer = ClosableProducer(holding=True)
    publisher = KafkaPublisher(SECTION, open_producer=Producers([producer]).open)
    await publisher.start()
    publishing = asyncio.create_task(accepted(publisher, A_RECORD))
    await producer.handed.wait()
    closing = asyncio.create_task(publisher.close())
    producer.deliveries[0].set_result(StoredBatch(41))
    assert (await publishing).offset == 41
    await closing


async def test_closing_does_not_wait_for_ever() -> None:
    hurried = replace(SECTION, deadline_seconds=0.01)
    async with a_publisher(ClosableProducer(holding=True), section=hurried) as publisher:
        await until_connected(publisher)
        with pytest.raises(BusUnavailable, match="Not confirmed"):
            await publisher.publish(A_RECORD)
        assert publisher.held_bytes > 0
    assert publisher.held_bytes == 0


async def test_when_too_much_waits_for_the_bus_publishing_is_refused_at_once() -> None:
    producer = ClosableProducer(holding=True)
    async with a_publisher(producer, section=replace(SECTION, deadline_seconds=0.1)) as publisher:
        first = asyncio.create_task(accepted(publisher, replace(A_RECORD, body=b"x" * 700)))
        await producer.handed.wait()
        with pytest.raises(BusUnavailable, match="Not handed over"):
            await publisher.publish(replace(A_RECORD, body=b"x" * 200))
        producer.deliveries[0].set_result(StoredBatch(0))
        await first


async def test_a_record_that_no_batch_may_hold_is_refused_without_asking() -> None:
    async with a_publisher() as publisher:
        with pytest.raises(TooLarge):
            await publisher.publish(replace(A_RECORD, body=bytes(SECTION.max_record_bytes)))


MANY = KafkaSection("nowhere:9092", partitions=4)


def some(count: int, body: bytes = b"body") -> list[Record]:
    return [Record(b"key-%d" % n, b"{}", b"%d-%s" % (n, body)) for n in range(count)]


async def test_many_records_make_one_batch_per_partition_and_each_has_its_place() -> None:
    producer = ClosableProducer()
    async with a_publisher(producer, section=MANY, max_held_bytes=10**6) as publisher:
        records = some(100)
        await until_connected(publisher)
        outcomes = await publisher.publish_all(records)
        assert len(producer.batches) == 4
        stored = [body for batch in producer.batches for body in batch]
        assert [stored[at.offset] for at in outcomes if isinstance(at, Position)] == [record.body for record in records]


async def test_of_many_records_those_that_cannot_be_published_are_told_and_the_others_are_published() -> None:
    producer = ClosableProducer()
    async with a_publisher(producer) as publisher:
        await until_connected(publisher)
        huge = replace(A_RECORD, body=bytes(SECTION.max_record_bytes))
        outcomes = await publisher.publish_all([A_RECORD, huge, A_RECORD])
        assert [type(outcome) for outcome in outcomes] == [Position, TooLargeForBus, Position]
        assert producer.batches == [[b"body", b"body"]]


async def test_many_records_that_no_batch_holds_together_are_sent_in_several_in_their_order() -> None:
    producer = ClosableProducer()
    async with a_publisher(producer, max_held_bytes=10**8) as publisher:
        await until_connected(publisher)
        records = [replace(A_RECORD, body=b"%d" % n + bytes(400_000)) for n in range(5)]
        outcomes = await publisher.publish_all(records)
        assert [at.offset for at in outcomes if isinstance(at, Position)] == [0, 1, 2, 3, 4]
        assert [len(batch) for batch in producer.batches] == [2, 2, 1]


async def test_what_stands_behind_a_batch_that_failed_is_not_handed_over() -> None:
    producer = ClosableProducer(holding=True)
    async with a_publisher(producer, max_held_bytes=10**8) as publisher:
        await until_connected(publisher)
        records = [replace(A_RECORD, body=b"%d" % n + bytes(400_000)) for n in range(5)]
        publishing = asyncio.create_task(publisher.publish_all(records))
        await producer.handed.wait()
        producer.holding = False
        producer.deliveries[0].set_exception(KafkaError("no leader"))
        outcomes = await publishing
        assert [str(outcome) for outcome in outcomes] == ["Not confirmed, retry."] * 2 + ["Not handed over, retry."] * 3
        assert len(producer.batches) == 1


async def test_what_is_too_large_alone_keeps_nothing_behind_it_from_the_bus() -> None:
    async with a_publisher(ClosableProducer(), max_held_bytes=10**6) as publisher:
        await until_connected(publisher)
        sizes = [400_000, 700_000, 300_000]  # of which the bus holds no two at once
        outcomes = await publisher.publish_all([replace(A_RECORD, body=bytes(size)) for size in sizes])
        assert [at.offset for at in outcomes if isinstance(at, Position)] == [0, 1, 2]


async def test_many_records_without_a_connection_are_refused_each() -> None:
    async with a_publisher() as publisher:
        outcomes = await publisher.publish_all([A_RECORD, A_RECORD])
        assert [str(outcome) for outcome in outcomes] == ["Not handed over, retry."] * 2


async def test_a_mistake_of_ours_among_many_records_is_raised() -> None:
    async with a_publisher(ClosableProducer()) as publisher:
        await until_connected(publisher)
        with pytest.raises(TypeError):
            await publisher.publish_all([A_RECORD, replace(A_RECORD, body=b"cannot be encoded")])


async def test_a_sender_of_many_records_that_goes_away_takes_the_waiting_ones_with_it() -> None:
    producer = ClosableProducer(holding=True)
    async with a_publisher(producer, section=MANY, max_held_bytes=10**6) as publisher:
        await until_connected(publisher)
        handed = asyncio.create_task(publisher.publish_all(some(40, b"handed over")))
        while len(producer.batches) < 4:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)
        waiting = asyncio.create_task(publisher.publish_all(some(40, b"waiting")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        producer.holding = False
        for delivery in producer.deliveries:
            delivery.set_result(StoredBatch(0))
        assert all(isinstance(outcome, Position) for outcome in await handed)
        await accepted(publisher, A_RECORD)
        assert producer.batches[4:] == [[b"body"]]
        assert publisher.held_bytes == 0


async def test_a_broadcast_that_one_partition_did_not_take_is_refused() -> None:
    error = KafkaError("no leader")
    async with a_publisher(ClosableProducer(answer=error), section=MANY) as publisher:
        await until_connected(publisher)
        with pytest.raises(BusUnavailable, match="Not confirmed"):
            await publisher.broadcast(A_RECORD)


async def until_connected(publisher: KafkaPublisher) -> None:
    while not publisher.connected:  # noqa: ASYNC110 (the connection comes by itself)
        await asyncio.sleep(0)
