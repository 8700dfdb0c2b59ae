"""What every publisher promises, whichever bus is behind it."""

import asyncio
import os
from collections import Counter
from dataclasses import replace

import pytest

from ledger.bus import Position, Publisher, Record
from ledger.bus.broadcasts import partitions_of
from ledger.errors import BusUnavailable
from ledger.settings import MAX_BODY_BYTES
from tests.support.publishing import PublishingBus, accepted, accepted_by_all

BUSES = [
    "memory",
    "memory_with_claims",
    "sqlite_log",
    pytest.param("kafka", marks=pytest.mark.kafka),
]
"""One fixture `publishing_<name>` per bus."""


@pytest.fixture(params=BUSES)
def publishing_bus(request: pytest.FixtureRequest) -> PublishingBus:
    bus: PublishingBus = request.getfixturevalue(f"publishing_{request.param}")
    return bus


def a_record(key: bytes = b"key", envelope: bytes = b"{}", body: bytes = b"body") -> Record:
    return Record(key, envelope, body)


def test_it_is_a_publisher(publishing_bus: PublishingBus) -> None:
    assert isinstance(publishing_bus.publisher, Publisher)


async def test_the_position_returned_is_where_a_reader_finds_the_record(publishing_bus: PublishingBus) -> None:
    records = [a_record(key=b"key-%d" % n, body=b"body-%d" % n) for n in range(20)]
    positions = [await accepted(publishing_bus.publisher, record) for record in records]
    found = {delivery.position: (delivery.key, delivery.body) for delivery in await publishing_bus.read()}
    assert found == {at: (record.key, record.body) for at, record in zip(positions, records, strict=True)}


async def test_records_of_one_key_are_read_in_the_order_in_which_they_were_published(
    publishing_bus: PublishingBus,
) -> None:
    await accepted(publishing_bus.publisher, a_record(b"other"))
    publishing = [publishing_bus.publisher.publish(a_record(b"one", body=b"%d" % n)) for n in range(300)]
    positions = await asyncio.gather(*publishing)
    assert positions == sorted(positions)
    assert [d.body for d in await publishing_bus.read() if d.key == b"one"] == [b"%d" % n for n in range(300)]


async def test_a_broadcast_record_is_in_every_partition(publishing_bus: PublishingBus) -> None:
    await accepted_by_all(publishing_bus.publisher, a_record(body=b"first"))
    positions = await accepted_by_all(publishing_bus.publisher, a_record(body=b"to all"))
    copies = {found.position: found for found in await publishing_bus.read() if found.body == b"to all"}
    assert set(positions) <= copies.keys()
    assert [at.partition for at in positions] == list(range(len(positions)))
    assert {at.partition for at in copies} == set(range(len(positions)))
    assert {partitions_of(found) for found in copies.values()} == {len(positions)}


async def test_of_records_published_together_each_gets_its_own_place(publishing_bus: PublishingBus) -> None:
    await accepted(publishing_bus.publisher, a_record(body=b"first"))
    records = [a_record(b"key-%d" % (n % 7), body=b"%d" % n) for n in range(500)]
    outcomes = await publishing_bus.publisher.publish_all(records)
    found = {delivery.position: delivery.body for delivery in await publishing_bus.read()}
    assert [found[at] for at in outcomes if isinstance(at, Position)] == [record.body for record in records]
    by_key = [[at for at in outcomes[key::7] if isinstance(at, Position)] for key in range(7)]
    assert by_key == [sorted(places) for places in by_key]


async def test_of_no_records_there_are_no_outcomes(publishing_bus: PublishingBus) -> None:
    assert await publishing_bus.publisher.publish_all([]) == []


async def test_records_published_together_and_alone_keep_their_order_within_a_key(
    publishing_bus: PublishingBus,
) -> None:
    await accepted(publishing_bus.publisher, a_record(b"other"))
    bus, groups = publishing_bus.publisher, [[b"%d-%d" % (group, n) for n in range(20)] for group in range(10)]
    publishing = [bus.publish_all([a_record(b"one", body=body) for body in group]) for group in groups[:5]]
    publishing += [bus.publish_all([a_record(b"one", body=body)]) for body in groups[5]]
    publishing += [bus.publish_all([a_record(b"one", body=body) for body in group]) for group in groups[6:]]
    outcomes = [at for told in await asyncio.gather(*publishing) for at in told if isinstance(at, Position)]
    assert len(outcomes) == 200
    assert outcomes == sorted(outcomes)
    assert [d.body for d in await publishing_bus.read() if d.key == b"one"] == [
        body for group in groups for body in group
    ]


async def test_a_sender_of_many_that_goes_away_harms_nobody_else(publishing_bus: PublishingBus) -> None:
    await accepted(publishing_bus.publisher, a_record(body=b"first"))
    many = [a_record(b"key-%d" % n, body=b"lost") for n in range(50)]
    impatient = asyncio.create_task(publishing_bus.publisher.publish_all(many))
    patient = [asyncio.create_task(publishing_bus.publisher.publish(a_record(body=b"%d" % n))) for n in range(20)]
    impatient.cancel()
    positions = await asyncio.gather(*patient)
    found = {delivery.position: delivery.body for delivery in await publishing_bus.read()}
    assert [found[at] for at in positions] == [b"%d" % n for n in range(20)]


async def test_a_record_goes_to_the_partition_that_it_names(publishing_bus: PublishingBus) -> None:
    places = await accepted_by_all(publishing_bus.publisher, a_record(body=b"to all"))
    for place in places:
        at = await accepted(publishing_bus.publisher, replace(a_record(), partition=place.partition))
        assert at.partition == place.partition


async def test_all_bytes_are_kept(publishing_bus: PublishingBus) -> None:
    every_byte = bytes(range(256))
    record = Record(b"\x00" + every_byte, b"\xff" + every_byte, b"", (("reason", every_byte), ("empty", b"")))
    at = await accepted(publishing_bus.publisher, record)
    (found,) = await publishing_bus.read()
    assert (found.position, found.key, found.envelope, found.body, found.headers) == (
        at,
        record.key,
        record.envelope,
        record.body,
        record.headers,
    )


async def test_the_largest_body_is_kept(publishing_bus: PublishingBus) -> None:
    body = os.urandom(MAX_BODY_BYTES)  # nothing that compression could make small
    await accepted(publishing_bus.publisher, a_record(body=b"before"))
    at = await publishing_bus.publisher.publish(a_record(body=body))
    largest = [delivery for delivery in await publishing_bus.read() if delivery.position == at]
    assert [delivery.body == body for delivery in largest] == [True]


async def test_concurrent_records_are_all_confirmed_and_each_is_there_once(publishing_bus: PublishingBus) -> None:
    await accepted(publishing_bus.publisher, a_record(b"first", body=b"first"))
    records = [a_record(b"key-%d" % (n % 37), body=b"%d" % n) for n in range(2000)]
    positions = await asyncio.gather(*(publishing_bus.publisher.publish(record) for record in records))
    assert len(set(positions)) == len(records)
    assert Counter(d.body for d in await publishing_bus.read()) == Counter(
        [b"first", *(record.body for record in records)]
    )


async def test_a_sender_that_goes_away_harms_nobody_else(publishing_bus: PublishingBus) -> None:
    await accepted(publishing_bus.publisher, a_record(body=b"first"))
    impatient = [asyncio.create_task(publishing_bus.publisher.publish(a_record(body=b"lost"))) for _ in range(20)]
    patient = [asyncio.create_task(publishing_bus.publisher.publish(a_record(body=b"%d" % n))) for n in range(20)]
    for task in impatient:
        task.cancel()
    positions = await asyncio.gather(*patient)
    found = {delivery.position: delivery.body for delivery in await publishing_bus.read()}
    assert [found[at] for at in positions] == [b"%d" % n for n in range(20)]


async def test_an_outage_is_said_and_ends_by_itself(publishing_bus: PublishingBus) -> None:
    if publishing_bus.go_away is None or publishing_bus.come_back is None:
        pytest.skip("This bus cannot be taken away.")
    before = await accepted(publishing_bus.publisher, a_record(body=b"before"))
    await publishing_bus.go_away()
    try:
        with pytest.raises(BusUnavailable, match="retry"):
            await publishing_bus.publisher.publish(a_record(body=b"during"))
        outcomes = await publishing_bus.publisher.publish_all([a_record(b"key-%d" % n, body=b"too") for n in range(9)])
        assert [type(outcome) for outcome in outcomes] == [BusUnavailable] * 9
    finally:
        await publishing_bus.come_back()
    after = await accepted(publishing_bus.publisher, a_record(body=b"after"))
    found = {delivery.position: delivery.body for delivery in await publishing_bus.read()}
    assert (found[before], found[after]) == (b"before", b"after")
