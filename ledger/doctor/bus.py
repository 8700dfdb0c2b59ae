"""The bus: whether it answers, has its topic, keeps records long enough, and how much waits to be read."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from ledger.bus.kafka_connection import connection
from ledger.bus.kafka_topics import open_admin, partition_count
from ledger.bus.sqlite_log import SqliteLog
from ledger.doctor import Finding, ok, problem, warning
from ledger.errors import LedgerError
from ledger.settings import KafkaSection

LAG_RECORDS = 100_000
SHORTEST_RETENTION_HOURS = 24
ANSWER_SECONDS = 20.0

_START = "Does it run, and is LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS right? Nothing is accepted meanwhile (503)."


async def kafka_findings(section: KafkaSection) -> list[Finding]:
    """All there is to say of Kafka."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            admin = await open_admin(section, wait_seconds=0.0)
            try:
                return await _looked_at(admin, section)
            finally:
                await admin.close()
    except (LedgerError, KafkaError, TimeoutError) as error:
        return [problem("kafka", str(error) or repr(error), _START)]


async def log_findings(log: SqliteLog) -> list[Finding]:
    """The standalone's log, while it is open."""
    return list(_lag(await log.waiting()))


async def _looked_at(admin: AIOKafkaAdminClient, section: KafkaSection) -> list[Finding]:
    found = [ok("kafka", f"Answers at {section.bootstrap_servers}.")]
    partitions = await partition_count(admin, section.topic)
    if partitions is None:
        return [*found, problem("topic", f"{section.topic} does not exist.", "Run: llmledger topics ensure")]
    if partitions != section.partitions:
        seen = f"{section.topic} has {partitions} partitions, the settings say {section.partitions}."
        do = "Set LLMLEDGER_KAFKA__PARTITIONS to it; for another number make a new topic and raise the generation."
        return [*found, problem("topic", seen, do)]
    found.append(ok("topic", f"{section.topic} has {partitions} partitions."))
    configuration = await _configuration(admin, section.topic)
    found += _kept(configuration, section)
    found += _taken(configuration, section)
    return [*found, *_lag(await _waiting(section))]


async def _configuration(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str]:
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}


def _kept(configuration: Mapping[str, str], section: KafkaSection) -> Iterator[Finding]:
    hours = int(configuration.get("retention.ms") or -1) / 3_600_000
    if 0 <= hours < SHORTEST_RETENTION_HOURS:
        seen = f"{section.topic} keeps records for {hours:.0f} h."
        yield problem("retention", seen, "Raise retention.ms: a store outage longer than it loses accepted reports.")
    else:
        yield ok("retention", "Without end." if hours < 0 else f"{hours:.0f} h.")
    if section.replication_factor > 1 and int(configuration.get("min.insync.replicas") or 1) < 2:
        do = "Set min.insync.replicas to 2: with 1, an accepted report may be on one broker only."
        yield problem("replicas", "min.insync.replicas is below 2.", do)
    if configuration.get("unclean.leader.election.enable") == "true":
        do = "Set it to false: an unclean election loses accepted reports."
        yield problem("replicas", "unclean.leader.election.enable is true.", do)


def _taken(configuration: Mapping[str, str], section: KafkaSection) -> Iterator[Finding]:
    most = int(configuration.get("max.message.bytes") or section.max_record_bytes)
    if most < section.max_record_bytes:
        seen = f"{section.topic} takes {most} bytes, LLMLEDGER_KAFKA__MAX_RECORD_BYTES is {section.max_record_bytes}."
        yield problem("topic", seen, "Lower the setting, or raise max.message.bytes: reports in between are refused.")


async def _waiting(section: KafkaSection) -> int | None:
    """Records that no worker has committed; None when there is no group yet."""
    partitions = [TopicPartition(section.topic, number) for number in range(section.partitions)]
    consumer = AIOKafkaConsumer(
        **connection(section), group_id=section.group, enable_auto_commit=False, auto_offset_reset="none"
    )
    consumer.assign(partitions)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(partitions)
        committed = {at: await consumer.committed(at) for at in partitions}
    finally:
        await consumer.stop()
    if all(offset is None for offset in committed.values()):
        return None
    return int(sum(end - (committed[at] or 0) for at, end in ends.items()))


def _lag(waiting: int | None) -> Iterator[Finding]:
    if waiting is None:
        yield warning("workers", "No worker has ever read the topic.", "Start: llmledger workers")
    elif waiting > LAG_RECORDS:
        do = "Are workers running, and is the store well? Add workers, at most one per partition."
        yield warning("workers", f"{waiting} records wait to be stored.", do)
    else:
        yield ok("workers", f"{waiting} records wait to be stored.")
