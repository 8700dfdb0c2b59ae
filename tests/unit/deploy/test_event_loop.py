"""The interpreter of a service is set for work: the collector looks rarely, and threads take turns promptly."""

import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.event_loop import run, settle


@dataclass(frozen=True)
class Before:
    threshold: tuple[int, int, int]
    turn: float


@pytest.fixture
def before() -> Iterator[Before]:
    """As it was; so it is again afterwards."""
    was = Before(gc.get_threshold(), sys.getswitchinterval())
    yield was
    gc.set_threshold(*was.threshold)
    gc.unfreeze()
    sys.setswitchinterval(was.turn)


def test_the_collector_looks_more_rarely_and_leaves_what_is_there_alone(before: Before) -> None:
    frozen = gc.get_freeze_count()
    settle()
    assert gc.get_threshold()[0] > before.threshold[0]
    assert gc.get_freeze_count() > frozen
    assert gc.isenabled()


def test_a_thread_waits_less_for_its_turn(before: Before) -> None:
    settle()
    assert sys.getswitchinterval() < before.turn


def test_a_service_runs_in_an_interpreter_that_is_set_for_work(before: Before) -> None:
    seen: list[float] = []

    async def service() -> None:
        seen.append(sys.getswitchinterval())

    run(service())
    assert seen == [sys.getswitchinterval()]
    assert seen[0] < before.turn
