"""Before reading begins: Kafka answers, the topic is as the settings say, and every partition has a place to read from.

The consumer runs without a reset policy, so that records which retention deleted unread stop the worker instead of
being jumped over. The first offsets of a new group are therefore committed here, at the start of the log. And a log
that does not fit what was read and stored before is refused here, see `kafka_places`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from ledger.bus.kafka_connection import connection
from ledger.bus.kafka_topics import open_admin, partition_count, require_partitions
from ledger.errors import StoreUnavailable
from ledger.settings import KafkaSection
from workers.drivers.kafka_places import Gap, RecordsLost, Span, gaps, require_known_end, text_of

_FOR_EVER = float("inf")
_ATTEMPT_SECONDS = 30.0
_RETRY_SECONDS = 0.5
_COMPLAIN_SECONDS = 10.0

StoredUpTo = Callable[[], Awaitable[Mapping[int, int]]]
"""The highest offset of each partition that the store has seen, of the generation of the settings."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a start is judged by, and what an operator allows it."""

    section: KafkaSection
    stored_up_to: StoredUpTo | None = None  # None: the store is not asked
    resume_after_loss: bool = False  # go on at the start of the log where the group's place is gone


async def reading_can_begin(beginning: Beginning, stop: asyncio.Event) -> bool:
    """Wait for Kafka, the topic and the store; False when `stop` was set first.

    Raises `Misconfigured` when the topic has another number of partitions than the settings say or ends before what is
    stored of it, and `RecordsLost` when records are gone that were not read.
    """
    preparing = asyncio.create_task(_prepare(beginning))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return preparing.done() and await preparing
    finally:
        preparing.cancel()
        stopping.cancel()
        await asyncio.gather(preparing, stopping, return_exceptions=True)


async def _prepare(beginning: Beginning) -> bool:
    complain_at = asyncio.get_running_loop().time()
    while (obstacle := await _obstacle(beginning)) is not None:
        now = asyncio.get_running_loop().time()
        if now >= complain_at:
            complain_at = now + _COMPLAIN_SECONDS
            log.warning("Reading cannot begin yet.", extra={"topic": beginning.section.topic, "obstacle": obstacle})
        await asyncio.sleep(_RETRY_SECONDS)
    return True


async def _obstacle(beginning: Beginning) -> str | None:
    """What stands in the way of reading, after trying to put it out of the way; None when nothing does."""
    section = beginning.section
    admin = await open_admin(section, _FOR_EVER)
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            found = await partition_count(admin, section.topic)
            if found is None:
                return "The topic does not exist."
            require_partitions(section, section.topic, found)
            committed = await _committed(admin, section)
            await _judge_and_place(beginning, committed)
    except (KafkaError, TimeoutError) as error:  # also: by now the group has members, who have placed it themselves
        return repr(error)
    except StoreUnavailable as error:
        return f"The store does not answer: {error}"
    finally:
        await admin.close()
    return None


async def _committed(admin: AIOKafkaAdminClient, section: KafkaSection) -> dict[int, int]:
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    found = await admin.list_consumer_group_offsets(section.group, partitions=partitions)
    return {at.partition: found[at].offset for at in partitions if at in found and found[at].offset >= 0}


async def _judge_and_place(beginning: Beginning, committed: Mapping[int, int]) -> None:
    section = beginning.section
    stored = await beginning.stored_up_to() if beginning.stored_up_to else {}
    async with _outsider(section) as consumer:
        spans = await _spans(consumer, section)  # after the store was asked: other workers go on storing meanwhile
        require_known_end(section.topic, section.generation, spans, stored)
        lost = gaps(spans, committed)
        if lost and not beginning.resume_after_loss:
            raise RecordsLost(text_of(section.topic, lost))
        unplaced = spans.keys() - committed.keys()
        places = {number: spans[number].start for number in (*unplaced, *(gap.partition for gap in lost))}
        if places:
            # As nobody in particular: Kafka takes that only while the group has no members, so it overtakes no one.
            await consumer.commit({TopicPartition(section.topic, number): at for number, at in places.items()})
            _say(section, lost)


def _say(section: KafkaSection, lost: list[Gap]) -> None:
    if lost:
        extra = {"topic": section.topic, "group": section.group, "lost": [str(gap) for gap in lost]}
        log.error("Records are lost. As ordered, reading goes on at the start of the log.", extra=extra)
    else:
        log.info("A new group begins at the start of the log.", extra={"group": section.group, "topic": section.topic})


async def _spans(consumer: AIOKafkaConsumer, section: KafkaSection) -> dict[int, Span]:
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {at.partition: Span(starts[at], ends[at]) for at in partitions}


@asynccontextmanager
async def _outsider(section: KafkaSection) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is no member of the group and reads nothing."""
    consumer = AIOKafkaConsumer(
        **connection(section), group_id=section.group, enable_auto_commit=False, auto_offset_reset="none"
    )
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    consumer.assign(partitions)  # without that it could not commit
    consumer.pause(*partitions)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
