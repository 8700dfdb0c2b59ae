"""Looking into Kafka from outside: everything in a topic, and how far a group has committed."""

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery
from ledger.bus.kafka_records import delivery_from
from ledger.settings import KafkaSection

_PATIENCE_SECONDS = 30.0


async def everything_in(section: KafkaSection) -> list[Delivery]:
    """All records of the topic, partition by partition, each in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=section.bootstrap_servers, auto_offset_reset="earliest")
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    consumer.assign(partitions)
    await consumer.start()
    found: list[Delivery] = []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for at, end in (await consumer.end_offsets(partitions)).items():
                while await consumer.position(at) < end:
                    record = await consumer.getone(at)
                    found.append(delivery_from(record, section.generation))
    finally:
        await consumer.stop()
    return found


async def committed_by(section: KafkaSection) -> dict[int, int]:
    """The next offset to read, per partition that the group has committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=section.bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(section.group)
    finally:
        await admin.close()
    return {at.partition: int(place.offset) for at, place in offsets.items() if at.topic == section.topic}
