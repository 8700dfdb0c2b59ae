"""What an intake stores and commits, and what it leaves alone, as partitions come and go."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery, Position, committable
from ledger.settings import BatchSection
from workers.batching import CHUNKS, QUICK_SECONDS
from workers.drivers.kafka_intake import Intake, IntakePlan
from workers.receipts import Receipt
from workers.vitals import Vitals
from workers.writing import NoLongerOurs

BATCH = BatchSection(max_rows=10, max_bytes=100, max_age_seconds=0.0)
AT_0, AT_1 = TopicPartition("topic", 0), TopicPartition("topic", 1)


@dataclass(slots=True)
class FakeConsumer:
    """Confirms commits, unless `answers` has something else to do first."""

    answers: list[Exception | None] = field(default_factory=list)  # None: never answer
    commits: list[dict[TopicPartition, int | tuple[int, str]]] = field(default_factory=list)
    paused: set[TopicPartition] = field(default_factory=set)

    async def commit(self, offsets: Mapping[TopicPartition, int | tuple[int, str]]) -> None:
        if self.answers:
            answer = self.answers.pop(0)
            if answer is None:
                await asyncio.Event().wait()
            else:
                raise answer
        self.commits.append(dict(offsets))

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    async def committed(self, partition: TopicPartition) -> int | None:
        raise NotImplementedError

    async def places(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, tuple[int, str]]:
        raise NotImplementedError

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        raise NotImplementedError


@dataclass(slots=True)
class Store:
    """A handle. While `gate` is closed, chunks are begun and not finished."""

    begun: list[list[bytes | None]] = field(default_factory=list)
    finished: int = 0
    still_ours: list[bool] = field(default_factory=list)  # as each chunk saw it when it was finished
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        self.begun.append([delivery.body for delivery in chunk])
        self.changed.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.finished += 1
        self.still_ours.append(still_ours())
        self.changed.set()
        return Receipt(len(chunk), 0, committable(chunk))

    async def until(self, condition: Callable[["Store"], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


@dataclass(slots=True)
class Seconds:
    """A clock that stands still until it is told otherwise."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Scene:
    intake: Intake
    consumer: FakeConsumer
    store: Store
    vitals: Vitals
    seconds: Seconds

    def read(self, *deliveries: Delivery) -> None:
        """As the consumer does: note the epoch, then hand over."""
        self.intake.read_in = self.intake.epoch
        self.intake.take(deliveries)


@asynccontextmanager
async def a_scene(
    *answers: Exception | None, gate_open: bool = True, revoke_seconds: float = 10.0
) -> AsyncIterator[Scene]:
    vitals, store, consumer = Vitals(), Store(), FakeConsumer(list(answers))
    if gate_open:
        store.gate.set()
    seconds = Seconds()
    plan = IntakePlan("topic", BATCH, revoke_seconds=revoke_seconds, commit_seconds=0.01, seconds=seconds)
    scene = Scene(Intake(plan, store, vitals), consumer, store, vitals, seconds)
    scene.intake.attach(consumer)
    running = asyncio.create_task(scene.intake.run())
    async with asyncio.timeout(20):
        yield scene
    running.cancel()
    await asyncio.wait({running})


def a_delivery(offset: int, partition: int = 0, body: bytes = b"body") -> Delivery:
    return Delivery(Position(1, partition, offset), b"k", b"e", body, (("h", b"v"),))


async def test_what_was_stored_is_committed_per_partition() -> None:
    async with a_scene() as scene:
        scene.intake.assigned([0, 1])
        scene.read(a_delivery(4), a_delivery(5), a_delivery(7, partition=1))
        await scene.intake.drain()
        assert scene.consumer.commits == [{AT_0: 6, AT_1: 8}]
        assert scene.vitals.last_progress is not None


async def test_it_tells_which_partitions_are_its_own() -> None:
    async with a_scene() as scene:
        assert scene.vitals.owned == frozenset()
        scene.intake.assigned([0, 3])
        assert scene.vitals.owned == {0, 3}
        await scene.intake.revoked()
        assert scene.vitals.owned == frozenset()


async def test_nothing_is_committed_before_it_is_stored() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.store.until(lambda store: len(store.begun) == 1)
        assert scene.consumer.commits == []


async def test_one_chunk_is_stored_at_a_time_and_in_order() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b"a"))
        await scene.store.until(lambda store: len(store.begun) == 1)
        scene.read(a_delivery(1, body=b"b"), a_delivery(2, body=b"c"))
        assert len(scene.store.begun) == 1
        scene.store.gate.set()
        await scene.intake.drain()
        assert scene.store.begun == [[b"a"], [b"b", b"c"]]
        assert scene.consumer.commits == [{AT_0: 1}, {AT_0: 3}]


async def test_a_failing_chunk_is_the_end_and_nothing_later_is_stored_or_committed() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.store.error = RuntimeError("broken")
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.store.until(lambda store: len(store.begun) == 1)
        scene.read(a_delivery(1))
        scene.store.gate.set()
        assert await scene.intake.failure is scene.store.error
        scene.read(a_delivery(2))
        await scene.intake.drain()
        assert (len(scene.store.begun), scene.consumer.commits) == (1, [])


async def test_after_an_error_while_reading_nothing_more_is_committed() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.store.until(lambda store: len(store.begun) == 1)
        scene.intake.fail(KafkaError("first"))
        scene.intake.fail(KafkaError("second"))
        scene.store.gate.set()
        await scene.intake.drain()
        assert scene.consumer.commits == []
        assert str(scene.intake.failure.result()) == "KafkaError: first"


async def test_partitions_are_given_up_only_when_what_was_read_from_them_is_committed() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        revoking = asyncio.create_task(scene.intake.revoked())
        await scene.store.until(lambda store: len(store.begun) == 1)
        assert not revoking.done()
        scene.store.gate.set()
        await revoking
        assert scene.consumer.commits == [{AT_0: 1}]
        assert (scene.intake.epoch, scene.intake.partitions, scene.store.still_ours) == (None, frozenset(), [True])


async def test_a_chunk_that_outlives_its_partitions_is_not_committed_even_if_they_come_back() -> None:
    async with a_scene(gate_open=False, revoke_seconds=0.01) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b"a"))
        await scene.store.until(lambda store: len(store.begun) == 1)
        scene.read(a_delivery(1, body=b"b"))
        await scene.intake.revoked()
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b"a again"))
        scene.store.gate.set()
        await scene.intake.drain()
        assert scene.store.begun == [[b"a"], [b"a again"]]
        assert scene.store.still_ours == [False, True]
        assert scene.consumer.commits == [{AT_0: 1}]


async def test_what_was_read_before_a_rebalance_and_handed_over_after_it_is_dropped() -> None:
    async with a_scene() as scene:
        scene.intake.assigned([0])
        scene.intake.read_in = scene.intake.epoch
        await scene.intake.revoked()
        scene.intake.take([a_delivery(5)])
        scene.intake.assigned([0])
        scene.intake.take([a_delivery(6)])
        scene.read(a_delivery(0))
        await scene.intake.drain()
        assert scene.consumer.commits == [{AT_0: 1}]


async def test_nothing_is_taken_while_draining() -> None:
    async with a_scene() as scene:
        scene.intake.assigned([0])
        await scene.intake.drain()
        scene.read(a_delivery(0))
        assert (scene.intake.epoch, scene.store.begun) == (None, [])


@pytest.mark.parametrize("error", [CommitFailedError("fenced"), IllegalStateError("not assigned")])
async def test_a_commit_that_was_not_ours_ends_the_epoch_and_not_the_worker(error: Exception) -> None:
    async with a_scene(error) as scene:
        scene.intake.assigned([0])
        scene.read(*(a_delivery(offset) for offset in range(15)))
        await scene.store.until(lambda store: store.finished == 1)
        await scene.intake.drain()
        assert (scene.intake.partitions, len(scene.store.begun)) == (frozenset(), 1)
        scene.intake.assigned([1])
        scene.read(a_delivery(9, partition=1))
        await scene.intake.drain()
        assert scene.consumer.commits == [{AT_1: 10}]
        assert not scene.intake.failure.done()


async def test_a_late_word_that_a_commit_was_not_ours_does_not_end_a_newer_epoch() -> None:
    async with a_scene(None, CommitFailedError("fenced"), revoke_seconds=0.001) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.store.until(lambda store: store.finished == 1)
        await scene.intake.revoked()
        scene.intake.assigned([0])
        assert scene.intake.partitions == {AT_0}


async def test_a_commit_that_is_not_answered_is_tried_again() -> None:
    async with a_scene(None, None) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.intake.drain()
        assert scene.consumer.commits == [{AT_0: 1}]


async def test_any_other_error_of_a_commit_is_the_end() -> None:
    error = KafkaError("not allowed")
    async with a_scene(error) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        assert await scene.intake.failure is error


async def test_reading_pauses_while_too_much_is_held_and_goes_on_afterwards() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0, 1])
        scene.read(a_delivery(0, body=b"x" * 100))
        await scene.store.until(lambda store: len(store.begun) == 1)
        assert scene.consumer.paused == set()
        scene.read(a_delivery(1, body=b"x" * 100))
        assert scene.consumer.paused == {AT_0, AT_1}
        scene.store.gate.set()
        await scene.store.until(lambda store: store.finished == 2)
        async with asyncio.timeout(10):
            while scene.consumer.paused:  # noqa: ASYNC110 (resumed just after the second commit)
                await asyncio.sleep(0)


async def test_reading_pauses_while_a_whole_batch_of_small_records_waits() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b""))
        await scene.store.until(lambda store: len(store.begun) == 1)
        small = [Delivery(Position(1, 0, offset), None, None, b"") for offset in range(1, CHUNKS * BATCH.max_rows + 1)]
        scene.read(*small[:-1])
        assert scene.consumer.paused == set()
        scene.read(small[-1])
        assert scene.consumer.paused == {AT_0}
        scene.store.gate.set()
        await scene.store.until(lambda store: len(store.begun) == 2)
        assert scene.consumer.paused == set()
        await scene.intake.drain()
        assert [len(chunk) for chunk in scene.store.begun] == [1, CHUNKS * BATCH.max_rows]


async def test_while_the_store_is_slow_one_chunk_is_stored_and_committed_at_a_time() -> None:
    async with a_scene(gate_open=False) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0))
        await scene.store.until(lambda store: len(store.begun) == 1)
        scene.read(*(Delivery(Position(1, 0, offset), None, None, b"") for offset in range(1, 2 * BATCH.max_rows + 1)))
        scene.seconds.now += QUICK_SECONDS + 1
        scene.store.gate.set()
        await scene.intake.drain()
        assert [len(chunk) for chunk in scene.store.begun] == [1, BATCH.max_rows, BATCH.max_rows]
        assert scene.consumer.commits == [{AT_0: 1}, {AT_0: 11}, {AT_0: 21}]


async def test_a_new_assignment_begins_unpaused_and_is_paused_when_needed() -> None:
    async with a_scene(gate_open=False, revoke_seconds=0.01) as scene:
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b"x" * 300))
        assert scene.consumer.paused == {AT_0}
        await scene.intake.revoked()
        scene.consumer.paused.clear()
        scene.intake.assigned([1])
        scene.read(a_delivery(0, partition=1))
        assert scene.consumer.paused == {AT_1}


async def test_a_chunk_that_stops_writing_because_its_partitions_went_is_no_failure() -> None:
    async with a_scene(gate_open=False, revoke_seconds=0.01) as scene:
        scene.store.error = NoLongerOurs()
        scene.intake.assigned([0])
        scene.read(a_delivery(0, body=b"a"))
        await scene.store.until(lambda store: len(store.begun) == 1)
        await scene.intake.revoked()
        scene.intake.assigned([0])
        scene.store.gate.set()
        await scene.intake.drain()
        assert not scene.intake.failure.done()
        assert scene.consumer.commits == []
