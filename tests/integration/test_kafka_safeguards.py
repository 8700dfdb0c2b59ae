"""On real Kafka: a log that does not fit what was read and stored stops the worker, and it is said how to go on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import TopicPartition

from ledger.bus import Position, Record
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import ensure_topics, partition_count
from ledger.errors import Misconfigured, StoreUnavailable
from ledger.settings import BatchSection, KafkaSection
from tests.support.kafka_reading import committed_by
from tests.support.publishing import accepted
from tests.support.working import Remembering, a_worker
from workers.drivers.kafka import Safeguards
from workers.drivers.kafka_consumer import GuardedConsumer
from workers.drivers.kafka_intake import Intake, IntakePlan
from workers.drivers.kafka_places import RecordsLost
from workers.vitals import Vitals

pytestmark = pytest.mark.kafka

PATIENCE_SECONDS = 45.0


def seen(**partitions: int) -> Callable[[], Awaitable[Mapping[int, int]]]:
    """A store that has seen these offsets; names are `p0`, `p1`…"""

    async def stored_up_to() -> Mapping[int, int]:
        return {int(name[1:]): highest for name, highest in partitions.items()}

    return stored_up_to


async def read_to_the_end(section: KafkaSection, publisher: KafkaPublisher, count: int) -> Position:
    """Publish and store so many records of one key; the position of the last."""
    remembering = Remembering()
    first = await accepted(publisher, Record(b"key", b"{}", b"first"))
    last = first
    for _ in range(count - 1):
        last = await publisher.publish(Record(b"key", b"{}", b"more"))
    async with a_worker(section, remembering):
        await remembering.until(lambda found: len(found.stored) == count)
    return last


async def delete_records(section: KafkaSection, at: Position) -> None:
    """Let the log of this partition begin after this place, as retention would."""
    async with AdminOf(section) as admin:
        await admin.delete_records({TopicPartition(section.topic, at.partition): RecordsToDelete(at.offset + 1)})


class AdminOf:
    """An admin client for the length of a block."""

    def __init__(self, section: KafkaSection) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=section.bootstrap_servers)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._admin.start()
        return self._admin

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()


async def make_anew(section: KafkaSection) -> None:
    """Delete the topic and make it again, empty."""
    async with AdminOf(section) as admin:
        await admin.delete_topics([section.topic])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await partition_count(admin, section.topic) is not None:
                pass
    await ensure_topics(section, wait_seconds=PATIENCE_SECONDS)


async def test_a_topic_that_was_made_anew_is_refused_until_its_generation_is_raised(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    last = await read_to_the_end(kafka_section, kafka_publisher, 3)
    await make_anew(kafka_section)
    stored = Safeguards(stored_up_to=seen(**{f"p{last.partition}": last.offset}))
    async with a_worker(kafka_section, Remembering(), safeguards=stored) as worker:
        with pytest.raises(Misconfigured, match=r"ends before what was already stored of generation 7"):
            await worker.ended()
    remembering = Remembering()
    raised = replace(kafka_section, generation=8)
    await accepted(kafka_publisher, Record(b"key", b"{}", b"after"))
    async with a_worker(raised, remembering, safeguards=Safeguards(stored_up_to=seen())):
        await remembering.until(lambda found: len(found.stored) == 1)
    assert remembering.stored[0].position == Position(8, last.partition, 0)


async def test_a_log_that_goes_on_after_what_is_stored_is_read(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    last = await read_to_the_end(kafka_section, kafka_publisher, 2)
    stored = Safeguards(stored_up_to=seen(**{f"p{last.partition}": last.offset}))
    remembering = Remembering()
    async with a_worker(kafka_section, remembering, safeguards=stored):
        await accepted(kafka_publisher, Record(b"key", b"{}", b"next"))
        await remembering.until(lambda found: found.bodies == [b"next"])


async def test_a_worker_waits_for_a_store_that_does_not_answer(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    asked: list[int] = []

    async def away_at_first() -> Mapping[int, int]:
        asked.append(len(asked))
        if len(asked) < 3:
            raise StoreUnavailable
        return {}

    await accepted(kafka_publisher, Record(b"key", b"{}", b"waiting"))
    remembering = Remembering()
    async with a_worker(kafka_section, remembering, safeguards=Safeguards(stored_up_to=away_at_first)):
        await remembering.until(lambda found: found.bodies == [b"waiting"])
    assert len(asked) >= 3


async def test_where_retention_took_unread_records_the_worker_stops_and_goes_on_only_when_told(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    read = await read_to_the_end(kafka_section, kafka_publisher, 2)
    lost = await kafka_publisher.publish(Record(b"key", b"{}", b"lost"))
    await kafka_publisher.publish(Record(b"key", b"{}", b"there"))
    await delete_records(kafka_section, lost)
    gone = f"partition {lost.partition}: {lost.offset} to {lost.offset} are gone"
    async with a_worker(kafka_section, Remembering()) as worker:
        with pytest.raises(RecordsLost, match=gone):
            await worker.ended()
    assert worker.vitals.ready is False
    assert (await committed_by(kafka_section))[read.partition] == lost.offset
    remembering = Remembering()
    async with a_worker(kafka_section, remembering, safeguards=Safeguards(resume_after_loss=True)):
        await remembering.until(lambda found: found.bodies == [b"there"])
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said.lost == [gone]  # type: ignore[attr-defined]


async def test_records_that_go_while_a_worker_reads_stop_it_too(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    lost = await accepted(kafka_publisher, Record(b"key", b"{}", b"lost"))
    await delete_records(kafka_section, lost)
    at = TopicPartition(kafka_section.topic, lost.partition)
    intake = Intake(IntakePlan(kafka_section.topic, BatchSection()), Remembering(), Vitals())
    options = {"bootstrap_servers": kafka_section.bootstrap_servers, "auto_offset_reset": "none"}
    async with GuardedConsumer(intake, **options) as consumer:
        consumer.assign([at])
        consumer.seek(at, lost.offset)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConsumerStoppedError):
                while not intake.failure.done():
                    await consumer.getmany(timeout_ms=100)
    assert isinstance(intake.failure.result(), RecordsLost)
    assert f"{lost.offset} to {lost.offset} are gone" in str(intake.failure.result())
