"""The consumer behind FastStream's subscriber: aiokafka's own, with a guard at the point where records are read.

FastStream's loop goes on after an error while reading, and aiokafka has by then moved its position past records of
other partitions that nobody got: a later commit would cover them. So here every such error ends the worker. A read is
also bounded in bytes after inflating, and marked with the epoch in which it happened.

One kind of record cannot be read at all: aiokafka decodes the names of headers, and raises when one is not UTF-8. No
producer of ours writes such a record; the worker stops in front of it, since to go on would be to skip it silently.
"""

from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import TopicPartition

from workers.drivers.kafka_intake import Intake

_READ_BYTES = 16 * 1024 * 1024  # after which a read is enough; it may be exceeded by one step
_STEP_RECORDS = 16  # as many may be inflated before the bytes are counted again

Read = dict[TopicPartition, list[ConsumerRecord]]


class GuardedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Reads for one intake."""

    def __init__(self, intake: Intake, **options: Any) -> None:
        super().__init__(**options)
        self._intake = intake
        intake.attach(self)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Read:
        """As aiokafka's. An error is the intake's failure, and for the caller the end of this consumer."""
        if self._intake.failure.done():
            raise ConsumerStoppedError
        try:
            return await self._bounded(partitions, timeout_ms, max_records or _STEP_RECORDS)
        except ConsumerStoppedError:
            raise
        except Exception as error:
            self._intake.fail(error)
            raise ConsumerStoppedError from error

    async def _bounded(self, partitions: tuple[TopicPartition, ...], timeout_ms: int, max_records: int) -> Read:
        taken: Read = {}
        count = size = 0
        while True:
            step = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=_STEP_RECORDS)
            if self._intake.read_in != self._intake.epoch:  # a rebalance: what came before it is read again
                taken.clear()
                self._intake.read_in = self._intake.epoch
            for partition, records in step.items():
                taken.setdefault(partition, []).extend(records)
                count += len(records)
                size += sum(max(0, record.serialized_value_size) for record in records)
            if not step or count >= max_records or size >= _READ_BYTES:
                return taken
            timeout_ms = 0  # only the first step waits


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells the intake what the group gives and takes. aiokafka logs what these methods raise and goes on."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 (it is always all)
        """Before the partitions go: finish what was read from them."""
        try:
            await self._intake.revoked()
        except Exception as error:  # noqa: BLE001 (aiokafka would go on as if nothing had happened)
            self._intake.fail(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Once they have come. The intake must know before the first await: records follow at once."""
        self._intake.assigned(at.partition for at in assigned)
