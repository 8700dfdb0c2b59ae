"""Who may pass a circuit, and when."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ledger.bus import Position
from ledger.bus.kafka_circuit import Circuit
from ledger.errors import BusUnavailable, TooLarge


@dataclass(slots=True)
class Scene:
    now: float = 0.0
    circuit: Circuit = field(init=False)

    def __post_init__(self) -> None:
        self.circuit = Circuit(lambda: self.now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_as_long_as_nothing_fails_everybody_may_pass(scene: Scene) -> None:
    assert all(scene.circuit.admits() for _ in range(5))


def test_after_a_failure_one_tries_and_the_others_are_refused(scene: Scene) -> None:
    scene.circuit.failed()
    assert [scene.circuit.admits() for _ in range(3)] == [True, False, False]


def test_a_trial_that_succeeds_lets_everybody_pass(scene: Scene) -> None:
    scene.circuit.failed()
    scene.circuit.admits()
    scene.circuit.succeeded()
    assert all(scene.circuit.admits() for _ in range(5))


def test_a_trial_that_fails_makes_the_next_one_wait_longer_but_not_without_end(scene: Scene) -> None:
    scene.circuit.failed()
    for pause in (1.0, 2.0, 5.0, 5.0):
        assert scene.circuit.admits()
        scene.circuit.failed()
        scene.now += pause - 0.01
        assert not scene.circuit.admits()
        scene.now += 0.01
    assert scene.circuit.admits()


def test_records_that_failed_together_count_as_one(scene: Scene) -> None:
    for _ in range(100):
        scene.circuit.failed()
    assert scene.circuit.admits()


def test_a_trial_whose_sender_went_away_is_followed_by_another(scene: Scene) -> None:
    scene.circuit.failed()
    assert scene.circuit.admits()
    scene.circuit.left()
    assert scene.circuit.admits()


def answered(*outcomes: Position | Exception) -> "asyncio.Future[Sequence[Position | Exception]]":
    answer: asyncio.Future[Sequence[Position | Exception]] = asyncio.Future()
    answer.set_result(outcomes)
    return answer


def failed(error: Exception) -> "asyncio.Future[Sequence[Position | Exception]]":
    answer: asyncio.Future[Sequence[Position | Exception]] = asyncio.Future()
    answer.set_exception(error)
    return answer


async def test_what_is_heard_of_a_call_says_how_the_partition_is(scene: Scene) -> None:
    gone = answered().get_loop().create_future()
    gone.cancel()
    scene.circuit.heard(failed(BusUnavailable()))
    for tells_nothing in (gone, failed(TooLarge()), answered(TypeError())):
        assert [scene.circuit.admits() for _ in range(2)] == [True, False]
        scene.circuit.heard(tells_nothing)
    assert [scene.circuit.admits() for _ in range(2)] == [True, False]
    scene.circuit.heard(answered(TypeError(), Position(1, 2, 3)))
    assert all(scene.circuit.admits() for _ in range(5))
