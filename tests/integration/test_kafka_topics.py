"""Topics are made as promised, found as they are, and refused when they do not fit the settings."""

from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ledger.bus.kafka_producers import open_producer
from ledger.bus.kafka_topics import TopicState, ensure_topics, kept_ms
from ledger.errors import BusUnavailable, Misconfigured
from ledger.settings import KafkaSection
from tests.support.kafka_settings import free_port

pytestmark = pytest.mark.kafka

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def new_section(kafka_section: KafkaSection) -> KafkaSection:
    """Settings for a topic that does not exist yet."""
    name = kafka_section.topic + ".new"
    return replace(kafka_section, topic=name, partitions=3)


async def configuration_of(section: KafkaSection, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=section.bootstrap_servers)
    await admin.start()
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    await admin.close()
    (_, _, _, _, entries), *_ = answer.resources
    return {name: value for name, value, *_ in entries}


async def test_a_missing_topic_is_made_and_then_found(new_section: KafkaSection) -> None:
    assert await ensure_topics(new_section) == (TopicState(new_section.topic, 3, made=True),)
    assert await ensure_topics(new_section) == (TopicState(new_section.topic, 3, made=False),)


async def test_the_topic_keeps_what_is_promised(kafka_section: KafkaSection) -> None:
    topic = await configuration_of(kafka_section, kafka_section.topic)
    assert int(topic["max.message.bytes"]) == 1_048_588, "what every broker takes"
    assert topic["retention.ms"] == str(7 * DAY_MS)
    assert topic["compression.type"] == "producer"
    assert await kept_ms(kafka_section) == 8 * DAY_MS


async def test_a_topic_for_larger_records_takes_them(new_section: KafkaSection) -> None:
    section = replace(new_section, max_record_bytes=8_000_000)
    await ensure_topics(section)
    assert int((await configuration_of(section, section.topic))["max.message.bytes"]) > 8_000_000


async def test_of_a_topic_that_is_not_there_nobody_says_how_long_it_is_kept(new_section: KafkaSection) -> None:
    with pytest.raises(BusUnavailable, match="does not say"):
        await kept_ms(new_section)


async def test_a_topic_that_keeps_everything_says_so(new_section: KafkaSection) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=new_section.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(new_section.topic, 1, 1, topic_configs={"retention.ms": "-1"})])
    await admin.close()
    assert await kept_ms(new_section) is None


async def test_another_number_of_partitions_is_refused(kafka_section: KafkaSection) -> None:
    with pytest.raises(Misconfigured, match=r"has 4 partitions.*says 6"):
        await ensure_topics(replace(kafka_section, partitions=6))


async def test_a_producer_for_another_number_of_partitions_is_refused(kafka_section: KafkaSection) -> None:
    with pytest.raises(Misconfigured, match=r"has 4 partitions.*says 6"):
        await open_producer(replace(kafka_section, partitions=6), kafka_section.topic)


async def test_what_kafka_cannot_make_is_said(new_section: KafkaSection) -> None:
    with pytest.raises(Misconfigured, match="refuses to make topic"):
        await ensure_topics(replace(new_section, replication_factor=5))


async def test_without_kafka_it_gives_up_in_time(kafka_section: KafkaSection) -> None:
    with pytest.raises(BusUnavailable, match="does not answer"):
        await ensure_topics(replace(kafka_section, bootstrap_servers=f"127.0.0.1:{free_port()}"))
