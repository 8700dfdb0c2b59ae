"""Several pieces of work at the same time, of which none is left behind when another fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


@overload
async def all_of(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def all_of(*coroutines: Coroutine[Any, Any, T]) -> tuple[T, ...]: ...
async def all_of(*coroutines: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """The outcome of each, in this order.

    Raises the first failure, as it is, once the others were cancelled and have ended.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
    else:
        return tuple(task.result() for task in tasks)
    raise first  # out here, so that what it came from is still told with it
