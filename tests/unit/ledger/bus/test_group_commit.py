"""Group commit: everybody gets their own answer, whatever happens to the others."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ledger.bus.group_commit import GroupCommit, Held
from ledger.errors import BusUnavailable, LedgerError, TooLargeForBus


@dataclass
class Disk:
    """A commit that the test lets through, refuses or keeps waiting."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[int]] = field(default_factory=list)
    refusal: BaseException | None = None
    answers_too_few: bool = False

    async def commit(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        self.started.set()
        await self.gate.wait()
        if self.refusal:
            raise self.refusal
        return [-item for item in items][: -1 if self.answers_too_few else None]


@dataclass
class Queue:
    """A group commit whose items are their own sizes."""

    inner: GroupCommit[int, int]
    held: Held

    async def submit(self, item: int) -> int:
        (result,) = await self.inner.submit([item], item)
        return result

    async def submit_all(self, *items: int) -> Sequence[int]:
        return await self.inner.submit(items, sum(items))


def a_queue(disk: Disk, max_bytes: int = 1000, deadline: float = 60.0) -> Queue:
    held = Held()
    return Queue(GroupCommit(disk.commit, max_bytes=max_bytes, deadline=deadline, held=held), held)


async def submitted(queue: Queue, *items: int) -> list[asyncio.Task[int]]:
    """A sender for each item, all of them waiting."""
    tasks = [asyncio.create_task(queue.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_each_item_gets_its_own_result() -> None:
    disk = Disk()
    disk.gate.set()
    queue = a_queue(disk)
    assert await asyncio.gather(*(queue.submit(item) for item in range(50))) == [-item for item in range(50)]


async def test_while_one_commit_is_under_way_the_next_one_fills() -> None:
    disk = Disk()
    queue = a_queue(disk)
    first = await submitted(queue, 1)
    await disk.started.wait()
    rest = await submitted(queue, 2, 3, 4)
    disk.gate.set()
    assert await asyncio.gather(*first, *rest) == [-1, -2, -3, -4]
    assert disk.groups == [[1], [2, 3, 4]]


async def test_a_group_holds_no_more_bytes_than_it_may_unless_one_item_does() -> None:
    disk = Disk()
    queue = a_queue(disk, max_bytes=10)
    tasks = await submitted(queue, 5, 5, 1, 50, 9, 2)
    disk.gate.set()
    await asyncio.gather(*tasks)
    assert disk.groups == [[5, 5], [1], [50], [9], [2]]


async def test_an_error_is_the_answer_of_its_group_only() -> None:
    disk = Disk(refusal=OSError("disk full"))
    disk.gate.set()
    queue = a_queue(disk)
    for answer in await asyncio.gather(queue.submit(1), queue.submit(2), return_exceptions=True):
        assert answer is disk.refusal
    disk.refusal = None
    assert await queue.submit(3) == -3


async def test_a_commit_that_loses_count_is_an_error_of_its_group_only() -> None:
    disk = Disk(answers_too_few=True)
    disk.gate.set()
    queue = a_queue(disk)
    with pytest.raises(ValueError, match="results"):
        await queue.submit(1)
    disk.answers_too_few = False
    assert await queue.submit(2) == -2


async def test_an_item_that_waits_beyond_the_deadline_is_surely_not_committed() -> None:
    disk = Disk()
    queue = a_queue(disk, deadline=0.01)
    handed, *_ = await submitted(queue, 1)
    await disk.started.wait()
    with pytest.raises(BusUnavailable, match="Not handed over, retry"):
        await queue.submit(2)
    with pytest.raises(BusUnavailable, match="Not confirmed, retry"):
        await handed
    disk.gate.set()
    await queue.inner.until_idle()
    assert disk.groups == [[1]]


async def test_a_sender_that_goes_away_while_waiting_is_left_out() -> None:
    disk = Disk()
    queue = a_queue(disk)
    first = await submitted(queue, 1)
    await disk.started.wait()
    gone, kept = await submitted(queue, 2, 3)
    gone.cancel()
    disk.gate.set()
    assert await asyncio.gather(*first, kept) == [-1, -3]
    assert disk.groups == [[1], [3]]


async def test_when_all_that_wait_go_away_nothing_is_committed() -> None:
    disk = Disk()
    queue = a_queue(disk)
    first = await submitted(queue, 1)
    await disk.started.wait()
    (gone,) = await submitted(queue, 2)
    gone.cancel()
    disk.gate.set()
    await asyncio.gather(*first)
    await queue.inner.until_idle()
    assert disk.groups == [[1]]


async def test_a_sender_that_goes_away_during_the_commit_harms_nobody() -> None:
    disk = Disk()
    queue = a_queue(disk)
    gone, kept = await submitted(queue, 1, 2)
    await disk.started.wait()
    gone.cancel()
    await asyncio.sleep(0)
    disk.gate.set()
    assert await kept == -2


async def test_an_error_does_not_reach_a_sender_that_went_away() -> None:
    disk = Disk(refusal=OSError("disk full"))
    queue = a_queue(disk)
    (gone,) = await submitted(queue, 1)
    await disk.started.wait()
    gone.cancel()
    await asyncio.sleep(0)
    disk.gate.set()
    await queue.inner.until_idle()
    assert gone.cancelled()


async def test_closing_waits_for_everything_that_waits() -> None:
    disk = Disk()
    queue = a_queue(disk)
    tasks = await submitted(queue, 1)
    await disk.started.wait()
    tasks += await submitted(queue, 2)
    closing = asyncio.create_task(queue.inner.until_idle())
    disk.gate.set()
    await closing
    assert [task.result() for task in tasks] == [-1, -2]


async def test_the_items_of_a_call_are_committed_together_and_answered_in_their_order() -> None:
    disk = Disk()
    queue = a_queue(disk, max_bytes=10)
    calls = [asyncio.create_task(queue.submit_all(*items)) for items in ((1, 2), (3, 4, 5), (), (6,))]
    disk.gate.set()
    assert await asyncio.gather(*calls) == [[-1, -2], [-3, -4, -5], [], [-6]]
    assert disk.groups == [[1, 2], [3, 4, 5], [6]]


async def test_what_is_held_is_counted_until_its_fate_is_known() -> None:
    disk = Disk()
    queue = a_queue(disk, deadline=0.01)
    handed, *_ = await submitted(queue, 5)
    await disk.started.wait()
    assert queue.held.bytes == 5
    with pytest.raises(BusUnavailable, match="Not handed over"):
        await queue.submit(7)
    with pytest.raises(BusUnavailable, match="Not confirmed"):
        await handed
    assert queue.held.bytes == 5
    disk.gate.set()
    await queue.inner.until_idle()
    assert queue.held.bytes == 0


async def test_who_comes_later_has_its_own_deadline() -> None:
    disk = Disk()
    queue = a_queue(disk, deadline=0.05)
    disk.gate.set()
    assert await queue.submit(1) == -1  # the deadline of this one is the next to come up
    disk.gate.clear()
    await asyncio.sleep(0.02)
    started = asyncio.get_running_loop().time()
    with pytest.raises(BusUnavailable, match="Not confirmed"):
        await queue.submit(2)
    assert asyncio.get_running_loop().time() - started >= 0.049
    disk.gate.set()


async def test_aborting_answers_everybody_and_lets_go_of_everything() -> None:
    disk = Disk()
    queue = a_queue(disk)
    handed, *_ = await submitted(queue, 5)
    await disk.started.wait()
    waiting, gone = await submitted(queue, 7, 8)
    gone.cancel()
    await queue.inner.abort()
    with pytest.raises(BusUnavailable, match="Not confirmed"):
        await handed
    with pytest.raises(BusUnavailable, match="Not handed over"):
        await waiting
    assert queue.held.bytes == 0


async def test_aborting_ends_the_taking() -> None:
    disk = Disk()
    queue = a_queue(disk)
    handed, *_ = await submitted(queue, 5)
    await disk.started.wait()
    aborting = asyncio.create_task(queue.inner.abort())
    await asyncio.sleep(0)
    (meanwhile,) = await submitted(queue, 7)
    await aborting
    (later,) = await submitted(queue, 9)
    for refused in (meanwhile, later):
        with pytest.raises(BusUnavailable, match="Not handed over"):
            await refused
    with pytest.raises(BusUnavailable, match="Not confirmed"):
        await handed
    assert (disk.groups, queue.held.bytes) == ([[5]], 0)


async def test_aborting_again_ends_what_a_cancelled_abort_began() -> None:
    disk = Disk()
    queue = a_queue(disk)
    senders = await submitted(queue, 5)
    await disk.started.wait()
    senders += await submitted(queue, 7)
    aborting = asyncio.create_task(queue.inner.abort())
    await asyncio.sleep(0)
    aborting.cancel()
    await asyncio.wait([aborting])
    await queue.inner.abort()
    outcomes = await asyncio.gather(*senders, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["Not confirmed, retry.", "Not handed over, retry."]
    assert queue.held.bytes == 0


async def test_a_commit_that_is_cancelled_answers_everybody_and_the_queue_lives_on() -> None:
    disk = Disk(refusal=asyncio.CancelledError())
    queue = a_queue(disk)
    senders = await submitted(queue, 5)
    await disk.started.wait()
    senders += await submitted(queue, 7)
    disk.gate.set()
    outcomes = await asyncio.gather(*senders, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["Not confirmed, retry.", "Not handed over, retry."]
    assert queue.held.bytes == 0
    disk.refusal = None
    assert await queue.submit(9) == -9


async def test_after_its_task_was_ended_from_elsewhere_before_it_began_the_queue_lives_on() -> None:
    before = asyncio.all_tasks()
    disk = Disk()
    disk.gate.set()
    queue = a_queue(disk)
    first = queue.inner.submit([1], 1)
    (running,) = asyncio.all_tasks() - before
    running.cancel()
    await asyncio.wait([running])
    assert await queue.submit(2) == -2
    assert await first == [-1]


@pytest.mark.parametrize("refusal", [BusUnavailable("No disk."), TooLargeForBus("1 byte.")])
async def test_an_error_that_many_are_told_is_each_ones_own(refusal: LedgerError) -> None:
    refusal.__cause__ = OSError("disk full")
    disk = Disk(refusal=refusal)
    disk.gate.set()
    queue = a_queue(disk)
    told = await asyncio.gather(queue.submit(1), queue.submit(2), return_exceptions=True)
    assert len({id(error) for error in (refusal, *told)}) == 3
    for error in told:
        assert isinstance(error, LedgerError)
        assert (type(error), str(error)) == (type(refusal), str(refusal))
        assert error.__cause__ is refusal.__cause__


async def test_aborting_before_anything_began_answers_too() -> None:
    queue = a_queue(Disk())
    answer = queue.inner.submit([1], 1)
    await queue.inner.abort()
    with pytest.raises(BusUnavailable, match="Not handed over"):
        await answer
    await queue.inner.abort()


async def test_when_the_loop_ends_all_tasks_nobody_waits_for_them_for_ever() -> None:
    before = asyncio.all_tasks()
    for begun in (True, False):
        disk = Disk()
        queue = a_queue(disk)
        answer = queue.inner.submit([1], 1)
        if begun:
            await disk.started.wait()
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await queue.inner.until_idle()
        await queue.inner.until_idle()
        answer.cancel()


async def test_an_answer_that_comes_just_before_the_deadline_counts() -> None:
    disk = Disk()
    disk.gate.set()
    assert await a_queue(disk, deadline=0.0).submit(1) == -1
