"""The topic of the bus: made when it is missing, never changed when it is there.

The number of partitions decides which worker reads which key, so a topic with another number than the settings say is
refused: a new number needs a new topic and a raised `generation`.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from ledger.bus.kafka_connection import connection
from ledger.errors import BusUnavailable, Misconfigured
from ledger.settings import KafkaSection

RETENTION_DAYS = 7
"""How long an outage of the store may last before accepted reports are lost."""

_BROKER_DEFAULT_BYTES = 1_048_588
_BATCH_MARGIN_BYTES = 64 * 1024  # what compression may add where there is nothing to compress

_RETRY_SECONDS = 0.5
_COMPLAIN_SECONDS = 10.0
_VISIBLE_SECONDS = 15.0
_LOOK_SECONDS = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is now, and whether this call made it."""

    name: str
    partitions: int
    made: bool


async def ensure_topics(section: KafkaSection, *, wait_seconds: float = 0.0) -> tuple[TopicState, ...]:
    """Every topic that is needed (it is one), made where missing.

    Raises `BusUnavailable` when Kafka did not answer within `wait_seconds`, and `Misconfigured` when a topic has
    another number of partitions or Kafka refuses to make it.
    """
    admin = await open_admin(section, wait_seconds)
    try:
        return (await _ensure(admin, section, section.topic),)
    except KafkaError as error:
        raise BusUnavailable(f"Kafka did not make the topics: {error!r}") from error
    finally:
        await admin.close()


async def open_admin(section: KafkaSection, wait_seconds: float) -> AIOKafkaAdminClient:
    """A connected admin client. Raises `BusUnavailable` when Kafka did not answer within `wait_seconds`."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + wait_seconds
    complain_at = loop.time()
    while True:
        admin = AIOKafkaAdminClient(**connection(section), request_timeout_ms=10_000)
        try:
            await admin.start()
            return admin
        except KafkaError as error:
            await admin.close()
            if loop.time() >= give_up_at:
                raise BusUnavailable(f"Kafka does not answer at {section.bootstrap_servers}.") from error
        if loop.time() >= complain_at:
            complain_at = loop.time() + _COMPLAIN_SECONDS
            log.warning("Waiting for Kafka.", extra={"bootstrap_servers": section.bootstrap_servers})
        await asyncio.sleep(_RETRY_SECONDS)


async def kept_ms(section: KafkaSection) -> int | None:
    """For how long a record of the topic may be read, at most, in milliseconds; None: for ever.

    Its segment goes when the newest record of it is old enough. Raises `BusUnavailable`, also where Kafka does not say.
    """
    admin = await open_admin(section, 0.0)
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, section.topic)])
    except KafkaError as error:
        raise BusUnavailable(f"Kafka does not say how long it keeps topic {section.topic}: {error!r}") from error
    finally:
        await admin.close()
    (code, _, _, _, entries), *_ = answer.resources
    if code:
        raise BusUnavailable(f"Kafka does not say how long it keeps topic {section.topic}: {for_code(code).__name__}")
    values = {name: value for name, value, *_ in entries}
    retention = int(values["retention.ms"])
    return None if retention < 0 else retention + int(values["segment.ms"])


async def partition_count(admin: AIOKafkaAdminClient, topic: str) -> int | None:
    """How many partitions the topic has; None when there is no such topic. Never makes one."""
    described: list[Mapping[str, Any]] = await admin.describe_topics()  # to ask for one by name may create it
    return next((len(found["partitions"]) for found in described if found["topic"] == topic), None)


def require_partitions(section: KafkaSection, topic: str, found: int) -> None:
    """Raise `Misconfigured` when the topic has another number of partitions than the settings say."""
    if found != section.partitions:
        raise Misconfigured(
            f"Topic {topic} has {found} partitions, LLMLEDGER_KAFKA__PARTITIONS says {section.partitions}."
        )


async def _ensure(admin: AIOKafkaAdminClient, section: KafkaSection, topic: str) -> TopicState:
    found = await partition_count(admin, topic)
    made = False
    if found is None:
        made = await _make(admin, section, topic, _configuration(section))
        found = await _visible_partitions(admin, topic)
    require_partitions(section, topic, found)
    return TopicState(topic, found, made)


async def _visible_partitions(admin: AIOKafkaAdminClient, topic: str) -> int:
    """How many partitions a new topic has, once brokers speak of it: they hear of it after the controller has it."""
    try:
        async with asyncio.timeout(_VISIBLE_SECONDS):
            while (found := await partition_count(admin, topic)) is None:  # noqa: ASYNC110 (Kafka tells nobody)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise BusUnavailable(f"Kafka has made topic {topic} but does not show it.") from error
    return found


def _configuration(section: KafkaSection) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": str(max(_BROKER_DEFAULT_BYTES, section.max_record_bytes + _BATCH_MARGIN_BYTES)),
        "retention.ms": str(RETENTION_DAYS * 24 * 60 * 60 * 1000),
        "retention.bytes": "-1",
        "segment.ms": str(24 * 60 * 60 * 1000),  # a record is kept for so much longer than the retention, at most
        "min.insync.replicas": str(max(1, section.replication_factor - 1)),  # one broker may be away
        "unclean.leader.election.enable": "false",
    }


async def _make(admin: AIOKafkaAdminClient, section: KafkaSection, topic: str, configuration: dict[str, str]) -> bool:
    """Whether we made it; False when somebody else did so in the meantime."""
    wanted = NewTopic(topic, section.partitions, section.replication_factor, topic_configs=configuration)
    answer = await admin.create_topics([wanted])
    (_, code, message, *_), *_ = answer.topic_errors
    error = for_code(code)
    if code == 0:
        log.info("A topic was made.", extra={"topic": topic, "partitions": section.partitions})
    elif error.retriable:
        raise error(message)
    elif error is not TopicAlreadyExistsError:
        raise Misconfigured(f"Kafka refuses to make topic {topic}: {message or error.__name__}")
    return bool(code == 0)
