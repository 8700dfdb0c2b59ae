"""The consumer behind FastStream's subscriber: aiokafka's own, with a guard at the point where records are read.

FastStream's loop goes on after an error while reading, and aiokafka has by then moved its position past records of
other partitions that nobody got: a later commit would cover them. So here every such error ends the worker. A read is
also bounded in bytes after inflating, and marked with the epoch in which it happened.

One kind of record cannot be read by aiokafka at all: it decodes the names of headers, and raises when one is not UTF-8.
Then everything goes back to where the read began, and `kafka_lenient` reads one batch of each partition in its way.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from workers.drivers.kafka_intake import Intake
from workers.drivers.kafka_lenient import fetch_first_batches, first_batch, is_about_a_name
from workers.drivers.kafka_places import RecordsLost, Span, gaps, text_of

_READ_BYTES = 16 * 1024 * 1024  # after which a read is enough; it may be exceeded by one step
_ANSWER_SECONDS = 10.0
_STEP_RECORDS = 16  # as many may be inflated before the bytes are counted again

log = logging.getLogger(__name__)

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
        except OffsetOutOfRangeError as error:
            self._intake.fail(await self._lost(error))
            raise ConsumerStoppedError from error
        except Exception as error:
            self._intake.fail(error)
            raise ConsumerStoppedError from error

    async def _step(self, partitions: tuple[TopicPartition, ...], timeout_ms: int) -> Read:
        assignment, places = self._now()
        try:
            step: Read = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=_STEP_RECORDS)
        except Exception as error:
            if not is_about_a_name(error):
                raise
            log.warning("A record has a header whose name is not UTF-8; it is read in another way.")
            return await self._read_leniently(places if assignment is self._now()[0] else {})
        return step

    def _now(self) -> tuple[Any, dict[TopicPartition, int]]:
        """The assignment, and what is read next of each of its partitions, as far as that is known."""
        subscription = self._subscription.subscription
        assignment = subscription.assignment if subscription else None
        states = {at: assignment.state_value(at) for at in assignment.tps} if assignment else {}
        return assignment, {at: state.position for at, state in states.items() if state.has_valid_position}

    async def _read_leniently(self, places: Mapping[TopicPartition, int]) -> Read:
        """Go back to these places, or where one is missing to the committed one, and read a batch of each partition."""
        assignment, _ = self._now()
        wanted = self.assignment()
        committed = await self.places([at for at in wanted if at not in places])
        back = {**{at: place for at, (place, _) in committed.items()}, **places}
        if assignment is not self._now()[0]:
            return {}  # a new assignment begins at the committed places by itself
        for at, place in back.items():
            self.seek(at, place)
        batches = await fetch_first_batches(self._client, {at: back[at] for at in wanted - self.paused()})
        read: Read = {}
        for at, data in batches.items() if assignment is self._now()[0] else ():
            records, next_offset = first_batch(at, data)
            read[at] = [record for record in records if record.offset >= back[at]]
            self.seek(at, next_offset)
        return read

    async def _lost(self, error: OffsetOutOfRangeError) -> Exception:
        """The same error with what the log still has, if Kafka says so."""
        wanted: Mapping[TopicPartition, int] = error.args[0]
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                starts, ends = await self.beginning_offsets(list(wanted)), await self.end_offsets(list(wanted))
        except (KafkaError, TimeoutError):
            return RecordsLost(f"Kafka no longer has what this group would read next: {error!r}")
        spans = {at.partition: Span(starts[at], ends[at]) for at in wanted}
        return RecordsLost(text_of(next(iter(wanted)).topic, gaps(spans, {at.partition: wanted[at] for at in wanted})))

    async def places(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, tuple[int, str]]:
        """Where the group stands, with the text beside each offset. Waits for the coordinator, without end."""
        found = await self._coordinator.fetch_committed_offsets(partitions)  # `committed` would leave the text out
        return {at: (place.offset, place.metadata) for at, place in found.items()}

    async def _bounded(self, partitions: tuple[TopicPartition, ...], timeout_ms: int, max_records: int) -> Read:
        taken: Read = {}
        count = size = 0
        while True:
            step = await self._step(partitions, timeout_ms)
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
