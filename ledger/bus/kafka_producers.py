"""aiokafka's idempotent producer: made with every setting said, and let go of also when it is stuck."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer

from ledger.bus.kafka_batches import FastProducer, batch_bytes
from ledger.bus.kafka_connection import connection, require_codecs
from ledger.bus.kafka_topics import require_partitions
from ledger.settings import KafkaSection

_CONNECT_SECONDS = 15.0
_REQUEST_MS = 10_000
_RELEASE_SECONDS = 2.0

log = logging.getLogger(__name__)


async def open_producer(section: KafkaSection, topic: str) -> AIOKafkaProducer:
    """A producer that is connected and has seen the topic.

    Raises `Misconfigured` when the topic has another number of partitions than the settings say, else what the client
    library raises when the bus is away.
    """
    require_codecs()
    producer = _make(section)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await producer.start()
            found = len(await producer.partitions_for(topic))
        require_partitions(section, topic, found)
    except BaseException:
        await release(producer)
        raise
    return producer


def _make(section: KafkaSection) -> AIOKafkaProducer:
    return FastProducer(
        batch_bytes(section),
        **connection(section),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # the lanes group records; waiting here would add nothing but delay
        max_request_size=section.max_record_bytes,
        request_timeout_ms=_REQUEST_MS,
        retry_backoff_ms=100,
        metadata_max_age_ms=60_000,
    )


class ProducerEnded(Exception):
    """The client library's own task that sends has ended: every later record would fail."""


def when_it_ends(producer: Any, tell: Callable[[Exception], None]) -> None:
    """Tell when the producer's sending task ends, also while there is nothing to send."""
    producer._sender.sender_task.add_done_callback(lambda _: tell(ProducerEnded()))


async def release(producer: Any) -> None:
    """Close the producer without waiting for batches that are still under way; those may yet be written.

    Its own `stop` waits for every batch, without end when the broker never answers, and while it waits the producer
    goes on sending. So the steps of `stop` are taken here without that one, each with a limit.
    """
    producer._closed = True
    for step in (producer._sender.close, producer.client.close):
        closing = asyncio.create_task(step())  # of its own: a sender that never ran answers with a cancellation
        await asyncio.wait({closing}, timeout=_RELEASE_SECONDS)
        if not closing.done():
            closing.cancel()
            log.warning("A Kafka producer did not close in time.")
        elif not closing.cancelled() and closing.exception():
            log.warning("A Kafka producer did not close in good order.", extra={"error": repr(closing.exception())})
