"""Before reading begins: Kafka answers, the topic is as the settings say, and every partition has a place to read from.

The consumer runs without a reset policy, so that records which retention deleted unread stop the worker instead of
being jumped over. The first offsets of a new group are therefore committed here, at the start of the log.
"""

import asyncio
import logging

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from ledger.bus.kafka_connection import connection
from ledger.bus.kafka_topics import open_admin, partition_count, require_partitions
from ledger.settings import KafkaSection

_FOR_EVER = float("inf")
_ATTEMPT_SECONDS = 30.0
_RETRY_SECONDS = 0.5
_COMPLAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


async def reading_can_begin(section: KafkaSection, stop: asyncio.Event) -> bool:
    """Wait for Kafka and the topic; False when `stop` was set first.

    Raises `Misconfigured` when the topic has another number of partitions than the settings say.
    """
    preparing = asyncio.create_task(_prepare(section))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return preparing.done() and await preparing
    finally:
        preparing.cancel()
        stopping.cancel()
        await asyncio.gather(preparing, stopping, return_exceptions=True)


async def _prepare(section: KafkaSection) -> bool:
    complain_at = asyncio.get_running_loop().time()
    while (obstacle := await _obstacle(section)) is not None:
        now = asyncio.get_running_loop().time()
        if now >= complain_at:
            complain_at = now + _COMPLAIN_SECONDS
            log.warning("Reading cannot begin yet.", extra={"topic": section.topic, "obstacle": obstacle})
        await asyncio.sleep(_RETRY_SECONDS)
    return True


async def _obstacle(section: KafkaSection) -> str | None:
    """What stands in the way of reading, after trying to put it out of the way; None when nothing does."""
    admin = await open_admin(section, _FOR_EVER)
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            found = await partition_count(admin, section.topic)
            if found is None:
                return "The topic does not exist."
            require_partitions(section, section.topic, found)
            unplaced = await _without_offset(admin, section)
            if unplaced:
                await _place_at_log_start(section, unplaced)
    except (KafkaError, TimeoutError) as error:  # also: by now the group has members, who have placed it themselves
        return repr(error)
    finally:
        await admin.close()
    return None


async def _without_offset(admin: AIOKafkaAdminClient, section: KafkaSection) -> list[TopicPartition]:
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    committed = await admin.list_consumer_group_offsets(section.group, partitions=partitions)
    return [at for at in partitions if at not in committed or committed[at].offset < 0]


async def _place_at_log_start(section: KafkaSection, partitions: list[TopicPartition]) -> None:
    """Commit as nobody in particular: Kafka takes that only while the group has no members, so it overtakes no one."""
    consumer = AIOKafkaConsumer(
        **connection(section), group_id=section.group, enable_auto_commit=False, auto_offset_reset="none"
    )
    consumer.assign(partitions)
    try:
        await consumer.start()
        await consumer.commit(await consumer.beginning_offsets(partitions))
        log.info("A new group begins at the start of the log.", extra={"group": section.group, "topic": section.topic})
    finally:
        await consumer.stop()
