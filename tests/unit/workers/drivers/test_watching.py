"""What is done beside work when it says how far it is: once each, and only while it goes on."""

import asyncio

import pytest

from workers.drivers.watching import watched


class Reaction:
    """Counts how often it was asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        self.happened.set()


async def test_work_that_says_nothing_is_only_awaited() -> None:
    reaction = Reaction()

    async def work() -> str:
        return "done"

    assert await watched(work(), {asyncio.Event(): reaction}) == "done"
    assert reaction.count == 0


async def test_each_reaction_comes_once_and_the_work_goes_on() -> None:
    read, waits = asyncio.Event(), asyncio.Event()
    first, second = Reaction(), Reaction()

    async def work() -> str:
        read.set()
        await first.happened.wait()
        waits.set()
        await second.happened.wait()
        return "done"

    assert await watched(work(), {read: first, waits: second}) == "done"
    assert (first.count, second.count) == (1, 1)


async def test_what_was_said_before_the_work_does_not_count() -> None:
    reaction, event = Reaction(), asyncio.Event()
    event.set()

    async def work() -> None:
        await asyncio.sleep(0)

    await watched(work(), {event: reaction})
    assert reaction.count == 0


async def test_an_error_of_the_work_comes_through() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await watched(work(), {asyncio.Event(): Reaction()})


async def test_cancelling_it_cancels_the_work() -> None:
    ended, begun = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(watched(work(), {asyncio.Event(): Reaction()}))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
