"""Waiting for so long and no longer, whoever else waits."""

import asyncio
import contextlib

import pytest

from ingest_api.deadlines import Deadline, Deadlines

SOON, NEVER = 0.01, 1000.0


async def waits(deadlines: Deadlines, seconds: float, woken: asyncio.Event | None = None) -> str:
    """How the waiting ended."""
    try:
        with deadlines.after(seconds):
            await (woken or asyncio.Event()).wait()
    except TimeoutError:
        return "late"
    return "woken"


async def test_who_waits_too_long_is_told_so_and_goes_on() -> None:
    assert await waits(Deadlines(), SOON) == "late"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_has_its_own_deadline_whoever_came_first() -> None:
    deadlines, woken = Deadlines(), asyncio.Event()
    patient = asyncio.create_task(waits(deadlines, NEVER, woken))
    late = await asyncio.gather(*(waits(deadlines, seconds) for seconds in (3 * SOON, SOON, 2 * SOON)))
    woken.set()
    assert (late, await patient) == (["late"] * 3, "woken")


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadlines = Deadlines()
    with deadlines.after(SOON):
        pass
    assert await waits(deadlines, 2 * SOON) == "late"  # so the first one's time has passed too


async def test_a_deadline_can_be_put_off_but_not_brought_forward() -> None:
    deadlines, woken = Deadlines(), asyncio.Event()
    with deadlines.after(SOON) as deadline:
        deadline.put_off(NEVER)
        deadline.put_off(0.0)
        assert await waits(deadlines, 2 * SOON) == "late"
        woken.set()
        await woken.wait()


async def test_a_cancellation_from_elsewhere_is_no_lateness() -> None:
    waiting = asyncio.create_task(waits(Deadlines(), NEVER))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("late_first", [True, False])
async def test_a_cancellation_in_the_turn_of_the_deadline_is_not_lost(late_first: bool) -> None:
    entered: asyncio.Future[Deadline] = asyncio.get_running_loop().create_future()

    async def waits_long() -> None:
        with Deadlines().after(NEVER) as deadline:
            entered.set_result(deadline)
            await asyncio.Event().wait()

    waiting = asyncio.create_task(waits_long())
    deadline = await entered
    if late_first:
        deadline.has_come()
    waiting.cancel()
    if not late_first:
        deadline.has_come()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_an_error_is_not_hidden_by_lateness() -> None:
    async def fails_when_late() -> None:
        with Deadlines().after(SOON):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails_when_late()


def test_it_works_in_one_loop_after_another() -> None:
    deadlines = Deadlines()
    for _ in range(2):
        assert asyncio.run(waits(deadlines, SOON)) == "late"
