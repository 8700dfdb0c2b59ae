"""What is tried is acquitted when the work waits for something outside, and only then."""

import asyncio

import pytest

from workers.drivers.acquitting import acquitted_by_waiting


class Acquittals:
    """Counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        self.happened.set()


async def test_work_that_never_waits_is_not_acquitted() -> None:
    acquittals = Acquittals()

    async def work() -> str:
        return "done"

    assert await acquitted_by_waiting(work(), asyncio.Event(), acquittals) == "done"
    assert acquittals.count == 0


async def test_work_that_waits_is_acquitted_once_and_goes_on() -> None:
    acquittals, waits = Acquittals(), asyncio.Event()

    async def work() -> str:
        waits.set()
        await acquittals.happened.wait()
        return "done"

    assert await acquitted_by_waiting(work(), waits, acquittals) == "done"
    assert acquittals.count == 1


async def test_a_wait_before_the_work_does_not_count() -> None:
    acquittals, waits = Acquittals(), asyncio.Event()
    waits.set()

    async def work() -> None:
        await asyncio.sleep(0)

    await acquitted_by_waiting(work(), waits, acquittals)
    assert acquittals.count == 0


async def test_an_error_of_the_work_comes_through() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await acquitted_by_waiting(work(), asyncio.Event(), Acquittals())


async def test_cancelling_it_cancels_the_work() -> None:
    ended, begun = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(acquitted_by_waiting(work(), asyncio.Event(), Acquittals()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
