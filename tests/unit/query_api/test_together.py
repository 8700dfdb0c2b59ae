"""Work that is done at the same time ends together, whatever becomes of a part of it."""

import asyncio

import pytest

from query_api.together import all_of


async def told(text: str) -> str:
    await asyncio.sleep(0)
    return text


async def test_outcomes_come_in_the_order_of_the_work() -> None:
    assert await all_of(told("a"), told("b"), told("c")) == ("a", "b", "c")
    assert await all_of() == ()


async def test_a_failure_comes_as_it_is_after_the_others_have_ended() -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("waiting")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no") from KeyError("why")

    with pytest.raises(ValueError, match="no") as failed:
        await all_of(wait(), fail(), wait())
    assert ended == ["waiting", "waiting"]
    assert isinstance(failed.value.__cause__, KeyError)


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    begun, ended = asyncio.Event(), []

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    waiting = asyncio.create_task(all_of(wait(), wait()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["waiting", "waiting"]
