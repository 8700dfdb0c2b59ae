"""What a worker has refused leaves no cycle that keeps its body: the collector comes by rarely."""

import gc
from collections.abc import Callable

import pytest

from ledger.bus import Delivery
from tests.support.builders import A_TIME, an_id
from tests.support.events import a_delivery, an_entry
from tests.support.recording import RememberingStore
from tests.support.remembering_worker import Worker, is_poison

LARGE = "x" * 100_000


class Garbage:
    """What only the collector can free, from the entering to the leaving of it."""

    def __enter__(self) -> "Garbage":
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        return self

    def __exit__(self, *_: object) -> None:
        gc.collect()
        held = gc.get_referents(*gc.garbage) if gc.garbage else []
        self.large = sum(isinstance(one, str | bytes) and len(one) >= len(LARGE) for one in held)
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def an_unreadable_one(offset: int) -> Delivery:
    return a_delivery(f'["{LARGE}'.encode(), offset)


def an_invalid_one(offset: int) -> Delivery:
    return an_entry({"cost": -1, "output": LARGE}, offset)


def a_poisonous_one(offset: int) -> Delivery:
    return an_entry({"description": "poison", "output": LARGE}, offset, record_id=an_id(A_TIME, offset))


@pytest.mark.parametrize("refused", [an_unreadable_one, an_invalid_one, a_poisonous_one])
async def test_no_large_body_of_a_refused_record_waits_for_the_collector(refused: Callable[[int], Delivery]) -> None:
    worker = Worker(RememberingStore(refuses=is_poison))
    await worker.process(refused(1), refused(2))
    with Garbage() as garbage:
        await worker.process(refused(3), refused(4))
    assert set(worker.dead) == {1, 2, 3, 4}
    assert garbage.large == 0


def test_a_body_that_does_wait_for_it_is_seen() -> None:
    with Garbage() as garbage:
        held: list[object] = [LARGE.encode()]
        held.append(held)
        del held
    assert garbage.large == 1
