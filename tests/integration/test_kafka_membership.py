"""On real Kafka: slow handling keeps the membership, a blocked process loses it and comes back; nothing is lost."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ledger.bus import Delivery, Position, Record, committable
from ledger.bus.kafka import KafkaPublisher
from ledger.settings import KafkaSection
from tests.support.kafka_reading import committed_by, everything_in
from tests.support.publishing import accepted
from tests.support.working import HURRIED, Remembering, a_worker
from workers.drivers.kafka_subscriber import Pace
from workers.receipts import Receipt

pytestmark = pytest.mark.kafka

SHORT_POLLS = replace(HURRIED, poll_interval_ms=1_000)
SHORT_SESSION = replace(HURRIED, session_ms=2_000)


async def published(publisher: KafkaPublisher, count: int) -> set[Position]:
    first = await accepted(publisher, Record(b"key", b"{}", b"0"))
    rest = [publisher.publish(Record(b"key-%d" % n, b"{}", b"%d" % n)) for n in range(1, count)]
    return {first, *await asyncio.gather(*rest)}


async def test_handling_for_longer_than_the_poll_interval_loses_no_partition(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    positions = await published(kafka_publisher, 30)
    remembering = Remembering()

    async def slowly(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        if not remembering.stored:
            await asyncio.sleep(2.5 * SHORT_POLLS.poll_interval_ms / 1000)  # what is tested is a time
        assert still_ours()
        return await remembering(chunk, still_ours)

    with caplog.at_level("INFO", "workers.drivers.kafka_intake"):
        async with a_worker(kafka_section, slowly, pace=SHORT_POLLS):
            await remembering.until(lambda seen: len(seen.stored) >= 30)
    assert [record.message for record in caplog.records].count("Partitions assigned.") == 1
    assert sorted(delivery.position for delivery in remembering.stored) == sorted(positions)
    assert await committed_by(kafka_section) == await ends_of(kafka_section)


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [(SHORT_POLLS, 3.0), (SHORT_SESSION, 3.0)],
    ids=["beyond the poll interval", "beyond the session"],
)
async def test_a_process_that_stood_still_comes_back_and_stores_everything(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher, pace: Pace, seconds: float
) -> None:
    positions = await published(kafka_publisher, 30)
    remembering = Remembering()

    async def standing_still(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        if not remembering.stored:
            time.sleep(seconds)  # noqa: ASYNC251 (that is the fault)
        return await remembering(chunk, still_ours)

    async with a_worker(kafka_section, standing_still, pace=pace) as worker:
        await remembering.until(lambda seen: {delivery.position for delivery in seen.stored} >= positions)
        positions |= await published(kafka_publisher, 30)
        await remembering.until(lambda seen: {delivery.position for delivery in seen.stored} >= positions)
        await worker.until_lag(0)
    assert {delivery.position for delivery in remembering.stored} == positions
    assert await committed_by(kafka_section) == await ends_of(kafka_section)


async def ends_of(section: KafkaSection) -> dict[int, int]:
    return {**dict.fromkeys(range(section.partitions), 0), **committable(await everything_in(section))}
