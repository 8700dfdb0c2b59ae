"""The bus of the cluster: Apache Kafka.

A record is durable when `publish` returns: all in-sync replicas have it. A producer that has failed a batch is
replaced, because the client library cannot heal its sequence numbers; meanwhile `publish` refuses at once. After that
one record tries each partition that failed before the others follow, see `kafka_circuit`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any

from ledger.bus import Position, Record
from ledger.bus.broadcasts import partitions_header
from ledger.bus.group_commit import NOT_HANDED_OVER, Held
from ledger.bus.kafka_batches import batch_bytes
from ledger.bus.kafka_circuit import Circuit
from ledger.bus.kafka_lanes import LanePlan
from ledger.bus.kafka_producers import open_producer
from ledger.bus.kafka_records import partition_of, wire_size
from ledger.bus.kafka_session import Session
from ledger.errors import BusUnavailable, LedgerError, TooLargeForBus
from ledger.settings import MAX_MESSAGE_BYTES, KafkaSection

_RETRY_SECONDS = 0.5
_COMPLAIN_SECONDS = 10.0
_BESIDE = "Where LLMLEDGER_BLOBS__URL is set, large bodies of reports go beside it."
_GRACE_SECONDS = 1.0  # for what other lanes have in flight when one lane's failure ends the session
_MAX_HELD_BYTES = 8 * MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Share:
    """Those records of one call that go into one batch, and their places in the call."""

    partition: int
    places: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    size: int = 0


OpenProducer = Callable[[KafkaSection, str], Awaitable[Any]]


class KafkaPublisher:
    """Publishes to one topic. Connects, and connects again, in the background."""

    def __init__(
        self,
        section: KafkaSection,
        topic: str | None = None,
        *,
        stall_seconds: float | None = None,
        max_held_bytes: int = _MAX_HELD_BYTES,
        open_producer: OpenProducer = open_producer,
    ) -> None:
        self._section = section
        self._topic = topic or section.topic
        self._plan = LanePlan(
            topic=self._topic,
            generation=section.generation,
            batch_bytes=batch_bytes(section),
            deadline_seconds=section.deadline_seconds,
            stall_seconds=stall_seconds or 2 * section.deadline_seconds,
        )
        self._max_held_bytes = max_held_bytes
        self._open_producer = open_producer
        self._circuits = [Circuit(time.monotonic) for _ in range(section.partitions)]
        self._held = Held()
        self._session: Session | None = None  # the one that takes records
        self._sessions: list[Session] = []  # and those that are still being closed
        self._supervision: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether `publish` has a producer to hand records to at this moment."""
        return self._session is not None

    @property
    def held_bytes(self) -> int:
        """The bytes of all records whose fate is unknown, also of those whose senders were answered already."""
        return self._held.bytes

    async def start(self) -> None:
        """Begin connecting; returns at once. Until it has succeeded `publish` raises `BusUnavailable`."""
        self._supervision = asyncio.create_task(self._supervise(), name="kafka-publisher")

    async def publish(self, record: Record) -> Position:
        """Return once all in-sync replicas have the record. Raises `TooLarge`, or `BusUnavailable` at the deadline."""
        size = self._size_of(record)
        (outcome,) = await self._submit(self._partition_of(record), (record,), size)
        if isinstance(outcome, Position):
            return outcome
        raise outcome

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """Return once each record's fate is known; raises for none of them. One future per partition."""
        outcomes: dict[int, Position | BaseException] = {}
        parts = self._shares_of(records, outcomes)
        answers = [self._submit_share(*part) if len(part) == 1 else self._submit_in_turn(part) for part in parts]
        for part, answer in zip(parts, await asyncio.gather(*answers, return_exceptions=True), strict=True):
            found = repeat(answer) if isinstance(answer, BaseException) else answer
            places = chain.from_iterable(share.places for share in part)
            outcomes.update(zip(places, found, strict=False))
        return [_told(outcomes[at]) for at in range(len(records))]

    async def broadcast(self, record: Record) -> list[Position]:
        """Return once every partition has the record. Raises as `publish` does; some may have it all the same."""
        count = self._section.partitions
        told = replace(record, headers=(*record.headers, partitions_header(count)))
        positions = []
        for outcome in await self.publish_all([replace(told, partition=partition) for partition in range(count)]):
            if not isinstance(outcome, Position):
                raise outcome
            positions.append(outcome)
        return positions

    async def close(self) -> None:
        """Wait for what is under way, at most for the deadline of a publish, then let go of the bus."""
        self._session = None
        if self._supervision:
            self._supervision.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervision
        for session in self._sessions:
            await session.close(self._section.deadline_seconds)
        self._sessions.clear()

    async def _submit_in_turn(self, part: Sequence[_Share]) -> list[Position | Exception]:
        """One batch after the other. What stood behind one that failed would come before the retry of that."""
        begin_by = asyncio.get_running_loop().time() + self._section.deadline_seconds
        told: list[Position | Exception] = []
        refused = False
        for share in part:
            answer: Sequence[Position | Exception]
            try:
                if refused or asyncio.get_running_loop().time() > begin_by:
                    raise BusUnavailable(NOT_HANDED_OVER)
                answer = await self._submit_share(share)
            except LedgerError as error:
                answer = [error] * len(share.records)
            told.extend(answer)
            refused = refused or any(isinstance(outcome, BusUnavailable) for outcome in answer)
        return told

    def _submit_share(self, share: _Share) -> asyncio.Future[Sequence[Position | Exception]]:
        return self._submit(share.partition, share.records, share.size)

    def _submit(
        self, partition: int, records: Sequence[Record], size: int
    ) -> asyncio.Future[Sequence[Position | Exception]]:
        session, circuit = self._session, self._circuits[partition]
        if session is None or self._held.bytes + size > self._max_held_bytes or not circuit.admits():
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(BusUnavailable(NOT_HANDED_OVER))
            return refused
        answer = session.lanes[partition].submit(records, size)
        answer.add_done_callback(circuit.heard)
        return answer

    def _partition_of(self, record: Record) -> int:
        return partition_of(record.key, self._section.partitions) if record.partition is None else record.partition

    def _size_of(self, record: Record) -> int:
        size = wire_size(record)
        limit = self._section.max_record_bytes
        if size > limit:
            raise TooLargeForBus(f"This takes {size} bytes on the bus, which takes {limit}. {_BESIDE}")
        return size

    def _shares_of(
        self, records: Sequence[Record], outcomes: dict[int, Position | BaseException]
    ) -> list[list[_Share]]:
        """For each partition its shares, none larger than a batch unless a record is. What is too large is told."""
        parts: dict[int, list[_Share]] = {}
        for place, record in enumerate(records):
            try:
                size = self._size_of(record)
            except TooLargeForBus as error:
                outcomes[place] = error
                continue
            partition = self._partition_of(record)
            part = parts.setdefault(partition, [])
            if not part or part[-1].size + size > self._plan.batch_bytes:
                part.append(_Share(partition))
            share = part[-1]
            share.places.append(place)
            share.records.append(record)
            share.size += size
        return list(parts.values())

    async def _supervise(self) -> None:
        while True:
            session = await self._connected_session()
            self._sessions.append(session)
            self._session = session
            log.info("Kafka is connected.", extra={"topic": self._topic})
            error = await session.until_failed()
            self._session = None
            log.warning("A batch failed; the Kafka producer is replaced.", extra={"error": repr(error)})
            await session.close(_GRACE_SECONDS)
            self._sessions.remove(session)

    async def _connected_session(self) -> Session:
        loop = asyncio.get_running_loop()
        complain_at = loop.time()
        while True:
            try:
                producer = await self._open_producer(self._section, self._topic)
                return Session(producer, self._plan, self._section.partitions, self._held)
            except Exception as error:  # noqa: BLE001 (whatever is wrong, the service stays up and says so)
                if loop.time() >= complain_at:
                    complain_at = loop.time() + _COMPLAIN_SECONDS
                    log.warning("Waiting for Kafka.", extra={"topic": self._topic, "error": repr(error)})
            await asyncio.sleep(_RETRY_SECONDS)


def _told(outcome: Position | BaseException) -> Position | LedgerError:
    if isinstance(outcome, Position | LedgerError):
        return outcome
    raise outcome
