"""When erasure runs, and what a failure of it does; the store itself is not needed for that."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from clickhouse_connect.driver import Client

from ledger.blobs.obstore import ObstoreBlobs
from ledger.clock import system_clock
from ledger.store import StoreBroken, StoreUnavailable
from ledger.store.clickhouse import ClickHousePool
from workers.drivers.erasing import Eraser, ErasingPlan, run_erasing

T = TypeVar("T")

AT_ONCE = ErasingPlan(every_seconds=0)


@dataclass(slots=True)
class Script:
    """What the store says to one look after the other; then it stops the erasure."""

    errors: list[Exception]
    stop: asyncio.Event
    looks: int = 0


class Scripted(ClickHousePool):
    """A pool that plays a script."""

    def __init__(self, script: Script) -> None:
        super().__init__("chdb:///nowhere", threads=1)
        self.script = script

    async def run(self, statement: Callable[[Client], T]) -> T:
        if self.script.looks == len(self.script.errors):
            self.script.stop.set()
            raise StoreUnavailable
        self.script.looks += 1
        raise self.script.errors[self.script.looks - 1]


async def run(errors: list[Exception], folder: Path, *, ours: bool = True) -> Script:
    script = Script(errors, asyncio.Event())
    eraser = Eraser(Scripted(script), ObstoreBlobs(folder.as_uri()), system_clock, AT_ONCE)
    answers = iter([ours] * 3)

    def owned() -> bool:
        answer = next(answers, None)
        if answer is None:
            script.stop.set()
        return bool(answer)

    await run_erasing(eraser, owned, script.stop)
    return script


async def test_a_store_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    script = await run([StoreUnavailable(), StoreBroken()], tmp_path)
    assert script.looks == 2


async def test_an_error_that_nobody_expects_ends_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await run([ZeroDivisionError()], tmp_path)


async def test_a_worker_that_is_not_the_one_erases_nothing(tmp_path: Path) -> None:
    script = await run([StoreUnavailable()], tmp_path, ours=False)
    assert script.looks == 0
