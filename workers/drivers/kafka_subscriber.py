"""FastStream's subscriber in the one form that loses nothing.

No acknowledgement policy, a parser and a decoder that cannot raise, a handler that only buffers, and an end to the
worker for every error that reaches the edge. It connects, subscribes and polls; it never decides progress.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import ConsumerRecord
from faststream import BaseMiddleware
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.middlewares import AckPolicy

from ledger.bus.kafka_connection import connection
from ledger.bus.kafka_records import delivery_from
from ledger.settings import MAX_MESSAGE_BYTES, KafkaSection
from workers.drivers.kafka_consumer import GuardedConsumer, Listener
from workers.drivers.kafka_intake import Intake

_FETCH_BYTES = 8 * 1024 * 1024
"""Of one answer of a broker, which is held several times over while it is taken apart. One batch may be larger."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of membership in the group; the defaults are those of production, tests hurry."""

    session_ms: int = 45_000
    heartbeat_ms: int = 5_000
    rebalance_ms: int = 60_000
    poll_interval_ms: int = 15 * 60 * 1000
    poll_ms: int = 100
    poll_records: int = 2000
    drain_seconds: float = 25.0  # for finishing at a stop
    leave_seconds: float = 10.0  # for leaving the group
    lag_seconds: float = 5.0  # between two looks at the lag
    stuck_seconds: float = 600.0  # for which Kafka may give nothing though there is more


def pace_of(section: KafkaSection) -> Pace:
    """The times that follow from the one that an operator sets: how long a silent member is waited for."""
    session_ms = round(section.session_seconds * 1000)
    return Pace(
        session_ms=session_ms,
        heartbeat_ms=min(5_000, session_ms // 9),
        rebalance_ms=max(10_000, session_ms * 4 // 3),
        poll_interval_ms=session_ms * 20,
        stuck_seconds=section.stuck_seconds,
    )


async def subscribed(section: KafkaSection, intake: Intake, pace: Pace) -> KafkaBroker:
    """A FastStream broker whose one subscriber fills the intake; not started yet."""
    broker = KafkaBroker(
        section.bootstrap_servers,
        client_id="llmledger",
        consumer_only=True,
        allow_auto_create_topics=False,
        apply_types=False,  # the handler takes what the decoder returns: the records
        middlewares=[partial(StopInsteadOfSkipping, intake)],
        logger=None,  # all that it would say is said by the intake, or is an error that ends the worker
        graceful_timeout=pace.leave_seconds,
    )

    @broker.subscriber(
        section.topic,
        group_id=section.group,
        batch=True,
        batch_timeout_ms=pace.poll_ms,
        max_records=pace.poll_records,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        listener=Listener(intake),
        parser=_as_it_came,
        decoder=_undecoded,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
        session_timeout_ms=pace.session_ms,
        heartbeat_interval_ms=pace.heartbeat_ms,
        rebalance_timeout_ms=pace.rebalance_ms,
        max_poll_interval_ms=pace.poll_interval_ms,
    )
    async def on_batch(records: Sequence[ConsumerRecord]) -> None:
        intake.take(delivery_from(record, section.generation) for record in records)

    await broker.connect()  # makes the builder that is replaced here; nothing is on the network yet
    answer_ms = pace.rebalance_ms + 10_000  # joining a group may take as long as a rebalance
    options = {**connection(section), "request_timeout_ms": answer_ms}
    broker.config.broker_config.builder = partial(_consumer, intake, options)
    return broker


class StopInsteadOfSkipping(BaseMiddleware[Any, Any]):
    """A skipped batch would be committed by the next one, so any error that gets this far ends the worker.

    Not by raising FastStream's `StopApplication`: that stops the consumer from within its own task, which is cancelled
    half-way and leaves a member in the group. The worker sees the failure and stops from outside.
    """

    def __init__(self, intake: Intake, message: Any, /, *, context: Any) -> None:
        super().__init__(message, context=context)
        self._intake = intake

    async def __aexit__(self, exc_type: Any = None, exc_val: BaseException | None = None, exc_tb: Any = None) -> bool:
        """Note the error, if there is one."""
        if isinstance(exc_val, Exception):
            self._intake.fail(exc_val)
        return False


def _consumer(intake: Intake, options: dict[str, Any], **subscription: Any) -> GuardedConsumer:
    return GuardedConsumer(intake, **{**subscription, **options})


async def _as_it_came(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    return KafkaMessage(raw_message=records, body=b"", consumer=FAKE_CONSUMER)


async def _undecoded(message: KafkaMessage) -> Any:
    return message.raw_message
