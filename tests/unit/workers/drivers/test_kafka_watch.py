"""A consumer that is stuck ends the worker; one that waits for the store, for work or for Kafka does not."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from ledger.bus import Delivery, Position, committable
from ledger.settings import BatchSection, KafkaSection
from workers.drivers.kafka_intake import Intake, IntakePlan
from workers.drivers.kafka_subscriber import Pace, pace_of
from workers.drivers.kafka_watch import Patience, ReadingIsStuck, watch
from workers.receipts import Receipt
from workers.vitals import Vitals

STUCK = 600.0
NOW = datetime(2026, 5, 1, tzinfo=UTC)
A_DELIVERY = Delivery(Position(1, 0, 3), b"key", b"{}", b"body")


@dataclass(slots=True)
class Broker:
    """Answers what a consumer asks; `None` and an error stand for what Kafka does not say."""

    end: int | None = 5
    place: int | None = 3
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if self.end is None:
            raise KafkaError
        return dict.fromkeys(partitions, self.end)

    async def committed(self, partition: TopicPartition) -> int | None:
        if self.place is None:
            raise KafkaError
        return self.place

    async def commit(self, offsets: Mapping[TopicPartition, int | tuple[int, str]]) -> None:
        await self.ready.wait()

    async def places(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, tuple[int, str]]:
        raise NotImplementedError

    def pause(self, *partitions: TopicPartition) -> None: ...

    def resume(self, *partitions: TopicPartition) -> None: ...


@dataclass(slots=True)
class Scene:
    """A watch that looks each time it is told to, on a clock that stands still in between."""

    broker: Broker
    intake: Intake
    vitals: Vitals
    now: float = 0.0

    def assigned(self, *partitions: int) -> None:
        self.intake.assigned(partitions)

    async def after(self, *seconds: float, then: Callable[[], None] = lambda: None) -> None:
        """One look at once, and one after each of these times. Raises what the watch raises."""
        patience = Patience(STUCK, lambda: self.now)
        for step in (0.0, *seconds):
            self.now += step
            try:
                async with asyncio.timeout(0.01):
                    await watch(self.intake, self.vitals, lambda: NOW, patience, every_seconds=60.0)
            except TimeoutError:
                then()


async def never(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
    raise AssertionError("nothing is stored here")


def a_scene(broker: Broker, handle: Callable[..., object] = never) -> Scene:
    vitals = Vitals()
    intake = Intake(IntakePlan("topic", BatchSection(max_age_seconds=0.0)), handle, vitals)  # type: ignore[arg-type]
    intake.attach(broker)
    return Scene(broker, intake, vitals)


async def test_records_that_never_come_end_the_worker() -> None:
    scene = a_scene(Broker())
    scene.assigned(0)
    with pytest.raises(ReadingIsStuck, match="waited for records from Kafka for 600 s"):
        await scene.after(STUCK)
    assert scene.vitals.lag == 2


async def test_an_assignment_that_never_comes_ends_the_worker() -> None:
    scene = a_scene(Broker())
    with pytest.raises(ReadingIsStuck, match="an assignment of partitions"):
        await scene.after(STUCK)


async def test_a_commit_that_is_never_confirmed_ends_the_worker() -> None:
    async def store(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        return Receipt(1, 0, committable(chunk))

    scene = a_scene(Broker(), store)
    scene.assigned(0)
    scene.intake.read_in = scene.intake.epoch
    scene.intake.take([A_DELIVERY])
    storing = asyncio.create_task(scene.intake.run())
    with pytest.raises(ReadingIsStuck, match="the confirmation of a commit"):
        await scene.after(STUCK, STUCK)
    storing.cancel()
    await asyncio.wait({storing})


async def test_an_outage_of_the_store_is_waited_for_however_long_it_takes() -> None:
    gate = asyncio.Event()

    async def wait_for_the_store(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        await gate.wait()
        raise AssertionError("nobody opens the gate")

    scene = a_scene(Broker(), wait_for_the_store)
    scene.assigned(0)
    scene.intake.read_in = scene.intake.epoch
    scene.intake.take([A_DELIVERY])
    storing = asyncio.create_task(scene.intake.run())
    await scene.after(STUCK, STUCK, STUCK)
    storing.cancel()
    await asyncio.wait({storing})


@pytest.mark.parametrize("broker", [Broker(end=3), Broker(end=None)], ids=["nothing to read", "Kafka is away"])
async def test_without_anything_to_read_or_anybody_to_ask_it_waits(broker: Broker) -> None:
    scene = a_scene(broker)
    scene.assigned(0)
    await scene.after(STUCK, STUCK)


async def test_a_worker_without_partitions_is_not_stuck() -> None:
    scene = a_scene(Broker())
    scene.assigned()
    await scene.after(STUCK, STUCK)
    assert scene.vitals.last_progress == NOW


async def test_a_lag_that_cannot_be_known_does_not_hide_that_nothing_comes() -> None:
    scene = a_scene(Broker(place=None))
    scene.assigned(0)
    with pytest.raises(ReadingIsStuck):
        await scene.after(STUCK)


async def test_each_new_assignment_begins_the_wait_anew() -> None:
    scene = a_scene(Broker())
    scene.assigned(0)
    await scene.after(STUCK - 1, STUCK - 1, then=lambda: scene.assigned(0))


def test_the_defaults_of_the_settings_are_those_of_the_pace() -> None:
    assert pace_of(KafkaSection("kafka:9092")) == Pace()


def test_a_shorter_session_hurries_all_that_depends_on_it() -> None:
    pace = pace_of(KafkaSection("kafka:9092", session_seconds=6.0))
    assert pace.session_ms == 6_000
    assert pace.heartbeat_ms * 3 <= pace.session_ms < pace.rebalance_ms < pace.poll_interval_ms
