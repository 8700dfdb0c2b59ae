"""On real Kafka: what is being tried is marked beside the committed offset, and a mark left there is heeded."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery, Position, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.settings import KafkaSection
from tests.support.kafka_reading import committed_by
from tests.support.publishing import accepted
from tests.support.working import HURRIED, Remembering, a_worker
from workers.drivers.attempts import ENOUGH, READING, Level, Mark, mark_from
from workers.drivers.kafka import Safeguards
from workers.receipts import Receipt

pytestmark = pytest.mark.kafka


@dataclass(slots=True)
class Aside:
    """Where records go that kill."""

    deliveries: list[Delivery] = field(default_factory=list)

    async def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)


async def published(publisher: KafkaPublisher, count: int) -> list[Position]:
    """So many records of one partition, with the bodies `0`, `1`…"""
    first = await accepted(publisher, Record(b"key", b"{}", b"0"))
    return [first, *[await publisher.publish(Record(b"key", b"{}", b"%d" % n)) for n in range(1, count)]]


async def mark_of(section: KafkaSection, partition: int) -> Mark | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=section.bootstrap_servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(section.group)
    finally:
        await admin.close()
    return mark_from(found[TopicPartition(section.topic, partition)].metadata)


async def leave_mark(section: KafkaSection, partition: int, offset: int, mark: Mark) -> None:
    """As a worker that died has left it."""
    at = TopicPartition(section.topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=section.bootstrap_servers, group_id=section.group)
    consumer.assign([at])
    await consumer.start()
    try:
        await consumer.commit({at: (offset, mark.text())})
    finally:
        await consumer.stop()


async def test_what_is_tried_first_is_marked_until_it_is_stored(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 3)
    marks: list[Mark | None] = []
    remembering = Remembering()

    async def look_at_the_mark(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        marks.append(await mark_of(kafka_section, positions[0].partition))
        return await remembering(chunk, still_ours)

    async with a_worker(kafka_section, look_at_the_mark, safeguards=Safeguards(set_aside=Aside())):
        await remembering.until(lambda seen: len(seen.stored) == 3)
        later = await kafka_publisher.publish(Record(b"key", b"{}", b"later"))
        await remembering.until(lambda seen: len(seen.stored) == 4)
    assert marks[0] is not None
    assert (marks[0].counted, marks[0].level) == (READING, Level.TOGETHER)
    assert marks[-1] is None
    assert (await committed_by(kafka_section))[later.partition] == later.offset + 1
    assert await mark_of(kafka_section, later.partition) is None


async def test_a_worker_that_stops_in_order_takes_its_mark_back(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    (at,) = await published(kafka_publisher, 1)
    begun = asyncio.Event()

    async def never_finish(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    pace, safe = replace(HURRIED, drain_seconds=0.01), Safeguards(set_aside=Aside())
    async with a_worker(kafka_section, never_finish, pace=pace, safeguards=safe):
        await begun.wait()
        assert await mark_of(kafka_section, at.partition) == Mark(READING, 1)
    assert await mark_of(kafka_section, at.partition) is None
    assert (await committed_by(kafka_section))[at.partition] == 0


async def test_a_worker_that_fails_takes_its_mark_back(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    (at,) = await published(kafka_publisher, 1)
    left = Mark(ENOUGH[Level.TOGETHER], 1)
    await leave_mark(kafka_section, at.partition, 0, left)

    async def fail(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        raise RuntimeError("the store is broken")

    async with a_worker(kafka_section, fail, safeguards=Safeguards(set_aside=Aside())) as worker:
        with pytest.raises(RuntimeError, match="the store is broken"):
            await worker.ended()
    assert await mark_of(kafka_section, at.partition) == left


async def test_a_range_that_was_left_marked_is_tried_one_by_one(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 6)
    await leave_mark(kafka_section, positions[0].partition, 0, Mark(ENOUGH[Level.TOGETHER], 4))
    sizes: list[int] = []
    remembering = Remembering()

    async def count(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        sizes.append(len(chunk))
        return await remembering(chunk, still_ours)

    async with a_worker(kafka_section, count, safeguards=Safeguards(set_aside=Aside())):
        await remembering.until(lambda seen: len(seen.stored) == 6)
    assert sizes[:4] == [1, 1, 1, 1]
    assert remembering.bodies == [b"%d" % n for n in range(6)]
    assert (await committed_by(kafka_section))[positions[0].partition] == 6


async def test_a_record_that_has_killed_alone_is_set_aside_and_its_neighbours_are_stored(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 6)
    await leave_mark(kafka_section, positions[0].partition, 2, Mark(ENOUGH[Level.ALONE], 4, Level.ALONE))
    remembering, aside = Remembering(), Aside()
    async with a_worker(kafka_section, remembering, safeguards=Safeguards(set_aside=aside)):
        await remembering.until(lambda seen: len(seen.stored) == 3)
    assert [delivery.position.offset for delivery in aside.deliveries] == [2]
    assert remembering.bodies == [b"3", b"4", b"5"]
    assert (await committed_by(kafka_section))[positions[0].partition] == 6
    assert await mark_of(kafka_section, positions[0].partition) is None


async def test_records_are_acquitted_while_the_work_waits_for_the_store(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    (at,) = await published(kafka_publisher, 1)
    waiting = asyncio.Event()

    async def wait_for_the_store(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    pace, safe = replace(HURRIED, drain_seconds=0.01), Safeguards(set_aside=Aside())
    async with a_worker(kafka_section, wait_for_the_store, pace=pace, safeguards=safe) as worker:
        await waiting.wait()
        assert await mark_of(kafka_section, at.partition) == Mark(READING, 1)
        worker.vitals.waits.set()
        async with asyncio.timeout(20):
            while await mark_of(kafka_section, at.partition) is not None:
                pass
