"""Fixtures over a real Kafka: one broker for the whole run, new topics and a new group for every test."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import ensure_topics
from ledger.settings import MAX_MESSAGE_BYTES, KafkaSection
from tests.support.kafka_broker import BrokerProcess, NoBroker, restart, start_broker
from tests.support.kafka_reading import everything_in
from tests.support.publishing import PublishingBus


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[BrokerProcess]:
    """A broker that is up. Whoever stops it starts it again. Without one: skipped, but failed where CI is set."""
    try:
        broker = start_broker(os.environ)
    except NoBroker as error:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"No Kafka broker: {error}")
    yield broker
    broker.remove()


@pytest.fixture
async def kafka_section(kafka_broker: BrokerProcess) -> KafkaSection:
    """Settings for topics that exist and are empty."""
    return await _with_topics(_new_section(kafka_broker))


@pytest.fixture
async def kafka_section_without_claims(kafka_broker: BrokerProcess) -> KafkaSection:
    """The same for records of any size: everything goes through Kafka."""
    return await _with_topics(replace(_new_section(kafka_broker), max_record_bytes=MAX_MESSAGE_BYTES))


def _new_section(broker: BrokerProcess) -> KafkaSection:
    name = f"test-{uuid4().hex[:12]}"
    return KafkaSection(
        bootstrap_servers=broker.bootstrap_servers,
        topic=name,
        group=f"{name}-workers",
        partitions=4,
        generation=7,
    )


async def _with_topics(section: KafkaSection) -> KafkaSection:
    await ensure_topics(section, wait_seconds=30.0)
    return section


@pytest.fixture
async def kafka_publisher(kafka_section: KafkaSection) -> AsyncIterator[KafkaPublisher]:
    """A publisher that has been started and is connected, or soon will be."""
    publisher = KafkaPublisher(kafka_section)
    await publisher.start()
    yield publisher
    await publisher.close()


@pytest.fixture
async def publishing_kafka(
    kafka_section_without_claims: KafkaSection, kafka_broker: BrokerProcess
) -> AsyncIterator[PublishingBus]:
    """Kafka under the contract of publishers."""
    kafka_section = kafka_section_without_claims
    publisher = KafkaPublisher(kafka_section, stall_seconds=kafka_section.deadline_seconds)
    await publisher.start()

    async def go_away() -> None:
        await asyncio.to_thread(kafka_broker.kill)

    async def come_back() -> None:
        await asyncio.to_thread(restart, kafka_broker)

    outage = (go_away, come_back) if kafka_broker.controllable else (None, None)
    yield PublishingBus(publisher, lambda: everything_in(kafka_section), *outage)
    await publisher.close()
