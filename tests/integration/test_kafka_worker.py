"""The Kafka worker against a real broker: nothing is lost, and nothing is committed that was not stored."""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from ledger.bus import Delivery, Position, Record, committable
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import ensure_topics
from ledger.errors import Misconfigured
from ledger.settings import KafkaSection
from tests.support.kafka_broker import BrokerProcess, restart
from tests.support.kafka_reading import committed_by, everything_in
from tests.support.kafka_settings import free_port
from tests.support.publishing import accepted
from tests.support.working import HURRIED, Remembering, a_worker
from workers.receipts import Receipt

pytestmark = pytest.mark.kafka


async def published(publisher: KafkaPublisher, count: int, name: bytes = b"r") -> list[Position]:
    records = [Record(b"key-%d" % (n % 13), b"{}", b"%s-%d" % (name, n)) for n in range(count)]
    first = await accepted(publisher, records[0])
    return [first, *await asyncio.gather(*(publisher.publish(record) for record in records[1:]))]


async def ends_of(section: KafkaSection) -> dict[int, int]:
    untouched = dict.fromkeys(range(section.partitions), 0)
    return {**untouched, **committable(await everything_in(section))}


async def test_everything_is_stored_once_and_committed(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 1000)
    remembering = Remembering()
    async with a_worker(kafka_section, remembering) as worker:
        await remembering.until(lambda seen: len(seen.stored) >= 1000)
        assert worker.vitals.ready
    assert Counter(delivery.position for delivery in remembering.stored) == Counter(positions)
    for key in {delivery.key for delivery in remembering.stored}:
        of_key = [delivery.position for delivery in remembering.stored if delivery.key == key]
        assert of_key == sorted(of_key)
    assert await committed_by(kafka_section) == await ends_of(kafka_section)
    assert not worker.vitals.ready


async def test_what_is_being_stored_at_a_stop_is_finished_and_committed(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    await published(kafka_publisher, 50)
    remembering, begun, stop_seen = Remembering(), asyncio.Event(), asyncio.Event()

    async def finish_after_the_stop(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        begun.set()
        await stop_seen.wait()
        assert still_ours()
        return await remembering(chunk, still_ours)

    async with a_worker(kafka_section, finish_after_the_stop) as worker:
        await begun.wait()
        worker.stop.set()
        assert remembering.stored == []
        stop_seen.set()
    assert committable(remembering.stored)
    assert await committed_by(kafka_section) == {**dict.fromkeys(range(4), 0), **committable(remembering.stored)}


async def test_a_crash_between_storing_and_committing_reads_again(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 30)
    before, after = Remembering(), Remembering()

    async def crash_after_storing(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        await before(chunk, still_ours)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async with a_worker(kafka_section, crash_after_storing) as worker:
        await before.until(lambda seen: len(seen.stored) > 0)
        worker.task.cancel()
        await asyncio.wait({worker.task})
    assert set((await committed_by(kafka_section)).values()) == {0}
    async with a_worker(kafka_section, after):
        await after.until(lambda seen: len(seen.stored) >= 30)
    assert Counter(delivery.position for delivery in after.stored) == Counter(positions)


async def test_a_failing_handle_ends_the_worker_and_nothing_later_is_committed(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 150)
    stored, after = Remembering(), Remembering()

    async def fail_once_some_are_stored(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        if len(stored.stored) >= 100:
            raise RuntimeError("the store is broken")
        return await stored(chunk, still_ours)

    async with a_worker(kafka_section, fail_once_some_are_stored) as worker:
        await stored.until(lambda seen: len(seen.stored) >= 100)
        positions += await published(kafka_publisher, 150, b"later")
        with pytest.raises(RuntimeError, match="the store is broken"):
            await worker.ended()
    committed = await committed_by(kafka_section)
    assert {at: committed[at] for at in committable(stored.stored)} == committable(stored.stored)
    async with a_worker(kafka_section, after):
        await after.until(lambda seen: len(seen.stored) >= 300 - len(stored.stored))
    assert Counter(d.position for d in stored.stored + after.stored) == Counter(positions)


async def test_records_that_are_not_ours_are_delivered_as_they_are(kafka_section: KafkaSection) -> None:
    strange: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
        (None, b"no key, no headers", []),
        (b"k", None, [("llmledger", b"a tombstone")]),
        (b"k", b"null header", [("llmledger", None), ("other", None)]),
        (b"k", b"not UTF-8", [("llmledger", b"\xff\xfe"), ("content-type", b"\xff")]),
        (b"k", b"twice", [("llmledger", b"1"), ("llmledger", b"2")]),
        (b"k", b"not JSON", [("llmledger", b"{}"), ("content-type", b"application/json")]),
    ]
    async with AIOKafkaProducer(bootstrap_servers=kafka_section.bootstrap_servers) as producer:
        for key, value, headers in strange:
            await producer.send_and_wait(kafka_section.topic, value, key, partition=1, headers=headers)
    remembering = Remembering()
    async with a_worker(kafka_section, remembering):
        await remembering.until(lambda seen: len(seen.stored) >= len(strange))
    assert [(d.key, d.body, d.envelope) for d in remembering.stored] == [
        (None, b"no key, no headers", None),
        (b"k", None, b"a tombstone"),
        (b"k", b"null header", None),
        (b"k", b"not UTF-8", b"\xff\xfe"),
        (b"k", b"twice", None),
        (b"k", b"not JSON", b"{}"),
    ]
    assert (await committed_by(kafka_section))[1] == len(strange)


def with_a_name_that_is_no_text(batch: Any) -> Any:
    """The batch with the bytes of the name `NAME` replaced, as another client could send it."""
    encoded = bytearray(bytes(batch._build()).replace(b"NAME", b"\xff\xfe\xff\xfe"))
    struct.pack_into(">I", encoded, 17, calc_crc32c(encoded[21:]))
    batch._buffer = encoded
    return batch


async def test_a_name_of_a_header_that_is_no_text_holds_up_nobody(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    positions = await published(kafka_publisher, 200)
    async with AIOKafkaProducer(bootstrap_servers=kafka_section.bootstrap_servers) as producer:
        for n in range(3):
            batch = producer.create_batch()
            batch.append(timestamp=None, key=b"k", value=b"before %d" % n, headers=[("llmledger", b"{}")])
            batch.append(timestamp=None, key=b"k", value=b"strange %d" % n, headers=[("NAME", b"value")])
            batch.append(timestamp=None, key=b"k", value=b"after %d" % n, headers=[])
            strange = with_a_name_that_is_no_text(batch)
            await (await producer.send_batch(strange, kafka_section.topic, partition=2))
    positions += await published(kafka_publisher, 200)
    remembering = Remembering()
    async with a_worker(kafka_section, remembering):
        await remembering.until(lambda seen: len(seen.stored) >= 409)
    assert len({delivery.position for delivery in remembering.stored}) == 409
    found = [d.body for d in remembering.stored if d.body and not d.body.startswith(b"r-")]
    assert found == [b"%s %d" % (name, n) for n in range(3) for name in (b"before", b"strange", b"after")]
    (strange_one, *_) = [d for d in remembering.stored if d.body == b"strange 0"]
    assert strange_one.headers == (("\\xff\\xfe\\xff\\xfe", b"value"),)
    assert await committed_by(kafka_section) == committable(remembering.stored)


async def test_two_workers_that_come_and_go_lose_nothing(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    both, second_alone = Remembering(), Remembering()

    async def second(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        await second_alone(chunk, still_ours)
        return await both(chunk, still_ours)

    async def all_of(positions: list[Position]) -> None:
        await both.until(lambda seen: {delivery.position for delivery in seen.stored} >= set(positions))

    async with a_worker(kafka_section, both):
        positions = await published(kafka_publisher, 500, b"one")
        await all_of(positions)
        async with a_worker(kafka_section, second) as newcomer:
            positions += await published(kafka_publisher, 500, b"two")
            await all_of(positions)
            await newcomer.until_ready()
            positions += await published(kafka_publisher, 500, b"three")
            await all_of(positions)
        positions += await published(kafka_publisher, 500, b"four")
        await all_of(positions)
    assert second_alone.stored
    assert {delivery.position for delivery in both.stored} == set(positions)
    assert await committed_by(kafka_section) == await ends_of(kafka_section)


async def test_a_broker_that_comes_back_finds_the_worker_still_there(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher, kafka_broker: BrokerProcess
) -> None:
    if not kafka_broker.controllable:
        pytest.skip("This broker is not ours to stop.")
    remembering = Remembering()
    async with a_worker(kafka_section, remembering) as worker:
        positions = await published(kafka_publisher, 100, b"before")
        await remembering.until(lambda seen: len(seen.stored) >= 100)
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.to_thread(restart, kafka_broker)
        positions += await published(kafka_publisher, 100, b"after")
        await remembering.until(lambda seen: {d.position for d in seen.stored} >= set(positions))
        assert not worker.task.done()
    assert await committed_by(kafka_section) == await ends_of(kafka_section)


async def test_a_topic_with_another_number_of_partitions_is_refused(kafka_section: KafkaSection) -> None:
    other = replace(kafka_section, partitions=5)
    async with a_worker(other, Remembering()) as worker:
        with pytest.raises(Misconfigured, match=r"has 4 partitions.*says 5"):
            await worker.ended()


async def test_a_worker_waits_for_its_topic(kafka_section: KafkaSection) -> None:
    later = replace(kafka_section, topic=kafka_section.topic + ".later", group=kafka_section.group + ".later")
    remembering = Remembering()
    publisher = KafkaPublisher(later)
    await publisher.start()
    async with a_worker(later, remembering):
        await ensure_topics(later)
        await accepted(publisher, Record(b"key", b"{}", b"body"))
        await remembering.until(lambda seen: seen.bodies == [b"body"])
    await publisher.close()


async def test_a_stop_ends_the_waiting_for_kafka(kafka_section: KafkaSection) -> None:
    nowhere = replace(kafka_section, bootstrap_servers=f"127.0.0.1:{free_port()}")
    async with a_worker(nowhere, Remembering()) as worker:
        await asyncio.sleep(0)
        assert not worker.task.done()
        worker.stop.set()
        await worker.ended()


async def test_a_stop_does_not_wait_for_ever_and_then_commits_nothing_of_the_chunk(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    await published(kafka_publisher, 10)
    begun = asyncio.Event()

    async def never_finish(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async with a_worker(kafka_section, never_finish, pace=replace(HURRIED, drain_seconds=0.01)):
        await begun.wait()
    assert set((await committed_by(kafka_section)).values()) == {0}


async def test_the_lag_is_known_and_goes_to_nothing(
    kafka_section: KafkaSection, kafka_publisher: KafkaPublisher
) -> None:
    await published(kafka_publisher, 40)
    gate, remembering = asyncio.Event(), Remembering()

    async def after_the_gate(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
        await gate.wait()
        return await remembering(chunk, still_ours)

    async with a_worker(kafka_section, after_the_gate) as worker:
        await worker.until_lag(40)
        assert worker.vitals.last_progress is None
        gate.set()
        await worker.until_lag(0)
        assert worker.vitals.last_progress is not None


async def test_records_that_inflate_to_much_are_all_read(kafka_section_without_claims: KafkaSection) -> None:
    bodies = [bytes(4 * 1024 * 1024) + b"%d" % n for n in range(30)]
    publisher = KafkaPublisher(kafka_section_without_claims)
    await publisher.start()
    await accepted(publisher, Record(b"key", b"{}", bodies[0]))
    for body in bodies[1:]:
        await publisher.publish(Record(b"key", b"{}", body))
    await publisher.close()
    remembering = Remembering()
    async with a_worker(kafka_section_without_claims, remembering):
        await remembering.until(lambda seen: len(seen.stored) >= 30)
    assert [body == found for body, found in zip(bodies, remembering.bodies, strict=True)] == [True] * 30
