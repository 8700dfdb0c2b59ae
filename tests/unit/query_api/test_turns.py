"""Heavy work in turn: one at a time, and nobody waits for ever."""

import asyncio
from dataclasses import dataclass, field

import pytest

from query_api.admin.turns import Busy, Turns


@dataclass
class Work:
    """Work that ends when it is let, and counts how much of it is under way."""

    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: int = 0
    most_at_work: int = 0

    async def __call__(self) -> str:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.begun.set()
        await self.may_end.wait()
        self.at_work -= 1
        return "done"


async def test_work_is_done_one_at_a_time() -> None:
    turns, work = Turns(), Work()
    callers = [asyncio.create_task(turns.run(work)) for _ in range(5)]
    await work.begun.wait()
    work.may_end.set()
    assert await asyncio.gather(*callers) == ["done"] * 5
    assert work.most_at_work == 1


async def test_whose_turn_does_not_come_is_told_so_and_the_next_one_gets_it() -> None:
    turns, work = Turns(patience_seconds=0), Work()
    first = asyncio.create_task(turns.run(work))
    await work.begun.wait()
    with pytest.raises(Busy):
        await turns.run(work)
    work.may_end.set()
    assert await first == "done"
    assert await turns.run(work) == "done"


async def test_work_that_nobody_waits_for_any_more_keeps_its_turn_until_it_ends() -> None:
    turns, work = Turns(patience_seconds=0), Work()
    gone = asyncio.create_task(turns.run(work))
    await work.begun.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(Busy):
        await turns.run(work)
    work.may_end.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert (work.at_work, await turns.run(work)) == (0, "done")


async def test_what_the_work_raises_is_raised_and_the_turn_ends() -> None:
    async def failing() -> None:
        raise ValueError("of the work")

    turns = Turns(patience_seconds=0)
    for _ in range(2):
        with pytest.raises(ValueError, match="of the work"):
            await turns.run(failing)
