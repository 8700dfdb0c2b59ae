"""What every source promises that is read by one process: order, at least once, and from the last commit on."""

import asyncio

import pytest

from ledger.bus import Position, Record, Source, committable
from tests.contract.conftest import AnyBus, RereadableBus

EVERYTHING = 1000


@pytest.fixture(params=["memory", "sqlite_log"])
def reading(request: pytest.FixtureRequest) -> RereadableBus:
    bus: RereadableBus = request.getfixturevalue(f"rereadable_{request.param}")
    return bus


async def publish(bus: AnyBus, *bodies: bytes) -> list[Position]:
    return [await bus.publish(Record(b"key", b"{}", body)) for body in bodies]


async def bodies(bus: AnyBus, limit: int = EVERYTHING) -> list[bytes | None]:
    return [delivery.body for delivery in await bus.poll(limit)]


def test_it_is_a_source(reading: RereadableBus) -> None:
    assert isinstance(reading.bus, Source)


async def test_records_are_read_in_the_order_in_which_they_were_published(reading: RereadableBus) -> None:
    positions = await publish(reading.bus, *(b"%d" % number for number in range(50)))
    found = await reading.bus.poll(EVERYTHING)
    assert [delivery.body for delivery in found] == [b"%d" % number for number in range(50)]
    assert [delivery.position for delivery in found] == positions == sorted(positions)


async def test_a_poll_gives_no_more_than_its_limit_and_the_next_one_goes_on(reading: RereadableBus) -> None:
    await publish(reading.bus, b"a", b"b", b"c")
    assert await bodies(reading.bus, 2) == [b"a", b"b"]
    assert await bodies(reading.bus, 2) == [b"c"]


async def test_reading_resumes_after_the_commit_and_not_before(reading: RereadableBus) -> None:
    await publish(reading.bus, b"done", b"pending", b"unread")
    done, _ = await reading.bus.poll(2)
    await reading.bus.commit(committable([done]))
    assert await bodies(await reading.reopened()) == [b"pending", b"unread"]


async def test_without_a_commit_everything_is_read_again(reading: RereadableBus) -> None:
    await publish(reading.bus, b"a", b"b")
    await reading.bus.poll(EVERYTHING)
    assert await bodies(await reading.reopened()) == [b"a", b"b"]


async def test_a_commit_never_goes_back(reading: RereadableBus) -> None:
    await publish(reading.bus, b"a", b"b", b"c")
    found = await reading.bus.poll(EVERYTHING)
    await reading.bus.commit(committable(found[:2]))
    await reading.bus.commit(committable(found[:1]))
    assert await bodies(await reading.reopened()) == [b"c"]


async def test_what_is_published_after_the_reopening_comes_after_what_was_before(reading: RereadableBus) -> None:
    before = await publish(reading.bus, b"before")
    after = await publish(await reading.reopened(), b"after")
    assert before < after
    assert await bodies(reading.bus) == [b"before", b"after"]


async def test_a_poll_waits_for_the_first_record(reading: RereadableBus) -> None:
    polling = asyncio.create_task(reading.bus.poll(EVERYTHING))
    await asyncio.sleep(0)
    assert not polling.done()
    (position,) = await publish(reading.bus, b"first")
    assert [delivery.position for delivery in await polling] == [position]


async def test_a_poll_that_was_given_up_loses_nothing(reading: RereadableBus) -> None:
    polling = asyncio.create_task(reading.bus.poll(EVERYTHING))
    await asyncio.sleep(0)
    polling.cancel()
    await asyncio.wait({polling})
    await publish(reading.bus, b"a")
    assert await bodies(reading.bus) == [b"a"]


async def test_a_poll_given_up_at_any_moment_loses_nothing(reading: RereadableBus) -> None:
    await publish(reading.bus, *(b"%d" % number for number in range(20)))
    found: list[bytes | None] = []
    for patience in range(12):
        polling = asyncio.create_task(reading.bus.poll(1))
        for _ in range(patience):
            await asyncio.sleep(0)
        polling.cancel()
        await asyncio.wait({polling})
        if not polling.cancelled():
            found.extend(delivery.body for delivery in polling.result())
    found += await bodies(reading.bus)
    assert found == [b"%d" % number for number in range(20)]


async def test_closing_ends_a_poll_that_waits(reading: RereadableBus) -> None:
    polling = asyncio.create_task(reading.bus.poll(EVERYTHING))
    await asyncio.sleep(0)
    await reading.close()
    assert await polling == []
    assert await reading.bus.poll(EVERYTHING) == []
