"""What is tried together and what alone, as workers die and come back."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Delivery, Position, committable
from workers.drivers.attempts import (
    ENOUGH,
    MARKED_RECORDS,
    READING,
    WRITING,
    Attempts,
    Level,
    Mark,
    Place,
    Step,
    attempts_at,
    mark_from,
)

CHUNK = 4


@pytest.mark.parametrize("mark", [Mark(1, 500), Mark(0, 2**40, Level.ALONE), Mark(999, 1, Level.GROUP)])
def test_a_mark_survives_the_bus(mark: Mark) -> None:
    assert mark_from(mark.text()) == mark


@pytest.mark.parametrize("text", [None, "", "somebody else's", "together counted=-1 until=5", "alone counted=1"])
def test_any_other_text_is_no_mark(text: str | None) -> None:
    assert mark_from(text) is None


def a_delivery(partition: int, offset: int) -> Delivery:
    return Delivery(Position(1, partition, offset), b"key", b"{}", b"%d" % offset)


def test_only_the_first_chunk_of_each_partition_is_marked() -> None:
    attempts = Attempts()
    first, second = [a_delivery(0, 3), a_delivery(0, 4)], [a_delivery(0, 5)]
    assert attempts.unknown(first) == {0}
    attempts.learn({0: Place(3, None)})
    step = attempts.next(first)
    assert (step.deliveries, step.before) == (first, {0: Place(3, Mark(READING, 5))})
    attempts.begun(step)
    attempts.done(step, {0: 5})
    assert attempts.unknown(second) == set()
    assert attempts.next(second) == Step(second, ())


def test_under_a_mark_no_more_are_tried_at_once_than_one_chunk_and_then_all_that_is_there() -> None:
    attempts = Attempts(marked_records=2)
    deliveries = [a_delivery(0, 3), a_delivery(0, 4), a_delivery(0, 5), a_delivery(0, 6)]
    attempts.learn({0: Place(3, None)})
    step = attempts.next(deliveries)
    assert (step.deliveries, step.rest) == (deliveries[:2], deliveries[2:])
    assert step.before == {0: Place(3, Mark(READING, 5))}
    attempts.begun(step)
    attempts.done(step, {0: 5})
    assert attempts.next(step.rest) == Step(deliveries[2:], ())


def test_what_a_receipt_leaves_of_a_step_under_a_mark_comes_before_the_rest() -> None:
    attempts = Attempts(marked_records=4)
    deliveries = [a_delivery(0, 3), a_delivery(1, 7), a_delivery(0, 4), a_delivery(2, 5), a_delivery(0, 5)]
    attempts.learn({0: Place(3, None), 1: Place(7, None), 2: Place(5, None)})
    step = attempts.next(deliveries)
    attempts.begun(step)
    attempts.done(step, {0: 4, 1: 8})
    assert step.left({0: 4, 1: 8}) == deliveries[2:]
    assert attempts.next(deliveries[2:]).before == {2: Place(5, Mark(READING, 6))}, "and stays marked where none is"


def test_a_worker_of_small_chunks_tries_one_of_them_under_a_mark() -> None:
    assert [attempts_at(rows).marked_records for rows in (7, MARKED_RECORDS + 1)] == [7, MARKED_RECORDS]


def test_what_waits_for_suspects_of_its_partition_stays_in_order() -> None:
    attempts = Attempts(marked_records=3)
    suspect, others = a_delivery(0, 3), [a_delivery(1, 7), a_delivery(0, 4), a_delivery(0, 5), a_delivery(1, 8)]
    attempts.learn({0: Place(3, Mark(0, 9, Level.ALONE)), 1: Place(7, None)})
    step = attempts.next([suspect, *others])
    assert step.deliveries == [others[0]]
    assert step.rest == [suspect, others[1], others[2], others[3]]


def test_marks_in_force_can_be_taken_back_and_a_finished_one_is_not() -> None:
    attempts = Attempts()
    seen = Place(7, Mark(3, 9, Level.ALONE))
    attempts.learn({0: Place(3, None), 1: seen})
    step = attempts.next([a_delivery(0, 3), a_delivery(1, 7)])
    assert [delivery.read_at.partition for delivery in step.deliveries] == [0]
    attempts.begun(step)
    assert attempts.take_back() == {0: Place(3, None)}
    attempts.begun(step)
    attempts.done(step, {0: 4})
    assert attempts.take_back() == {}


class Killed(Exception):
    """The process is gone."""


@dataclass(slots=True)
class World:
    """Partitions of ten records, a bus that keeps places, and killers among the records."""

    killers: set[tuple[int, int]]
    partitions: int = 2
    places: dict[int, Place] = field(default_factory=dict)
    stored: list[tuple[int, int]] = field(default_factory=list)
    aside: list[tuple[int, int]] = field(default_factory=list)
    crashes: int = 0

    def run(self, interrupted: Callable[[], str | None] = lambda: None) -> bool:
        """One life of a worker; whether it has come to the end. `interrupted` may kill it or let it fail in order."""
        attempts = Attempts(group_records=2)
        while waiting := [a_delivery(p, o) for p in range(self.partitions) for o in range(self._at(p), 10)][:CHUNK]:
            while waiting:
                attempts.learn({p: self.places.get(p, Place(0, None)) for p in attempts.unknown(waiting)})
                step = attempts.next(waiting)
                waiting = list(step.rest)
                self.places |= step.before
                attempts.begun(step)
                how = interrupted()
                if how == "order":
                    self.places |= attempts.take_back()
                    return False
                if how == "kill" or not self._try(step):
                    self.crashes += 1
                    return False
                resume_at = committable(step.deliveries)
                self.places |= step.places(resume_at)
                attempts.done(step, resume_at)
        return True

    def _at(self, partition: int) -> int:
        return self.places[partition].offset if partition in self.places else 0

    def _try(self, step: Step) -> bool:
        tried = [(d.read_at.partition, d.read_at.offset) for d in step.deliveries]
        if step.kills:
            self.aside += tried
            return True
        if self.killers.intersection(tried):
            return False
        self.stored += tried
        return True


records = st.tuples(st.integers(0, 1), st.integers(0, 9))
everything = {(partition, offset) for partition in range(2) for offset in range(10)}


@given(killers=st.sets(records, max_size=4))
def test_what_kills_is_set_aside_in_a_few_crashes_and_all_else_is_stored_in_order(
    killers: set[tuple[int, int]],
) -> None:
    world = World(killers)
    lives = 0
    while not world.run():
        lives += 1
        assert lives <= len(killers) * (sum(ENOUGH.values()) // READING + 1)
    assert set(world.aside) == killers
    assert set(world.stored) == everything - killers
    for partition in range(2):
        of_one = [offset for p, offset in world.stored if p == partition]
        assert of_one == sorted(of_one)


@given(data=st.data())
def test_failures_in_good_order_condemn_nothing_however_many_there_are(data: st.DataObject) -> None:
    world = World(set())
    for _ in range(30):
        world.run(lambda: data.draw(st.sampled_from([None, "order"])))
    assert world.run()
    assert world.aside == []
    assert set(world.stored) == everything


@given(data=st.data())
def test_a_kill_now_and_then_condemns_nothing(data: st.DataObject) -> None:
    world = World(set())
    for _ in range(10):
        at = data.draw(st.integers(1, 5))  # the first try of each life comes through
        steps = iter(range(100))
        if world.run(lambda: "kill" if next(steps) == at else None):  # noqa: B023 (used at once)
            break
    while not world.run():
        pass
    assert world.aside == []
    assert set(world.stored) == everything


def test_one_mark_that_others_wrote_does_not_hold_up_a_partition_without_one() -> None:
    attempts = Attempts()
    attempts.learn({0: Place(0, Mark(ENOUGH[Level.TOGETHER], 2)), 1: Place(0, None)})
    step = attempts.next([a_delivery(0, 0), a_delivery(0, 1), a_delivery(0, 2), a_delivery(1, 0)])
    assert [d.read_at.partition for d in step.deliveries] == [1]
    alone = attempts.next(step.rest)
    assert [(d.read_at.offset, alone.before[0].mark) for d in alone.deliveries] == [(0, Mark(READING, 2, Level.ALONE))]
    attempts.done(alone, {0: 1})
    last = attempts.next(alone.rest)
    assert [d.read_at.offset for d in last.deliveries] == [1]
    attempts.done(last, {0: 2})
    assert [d.read_at.offset for d in attempts.next(last.rest).deliveries] == [2]


def test_a_long_range_is_tried_in_groups_and_the_group_that_dies_one_by_one() -> None:
    chunk = [a_delivery(0, offset) for offset in range(10)]
    used_up = Mark(ENOUGH[Level.TOGETHER], 10)
    attempts = Attempts(group_records=4)
    attempts.learn({0: Place(0, used_up)})
    first = attempts.next(chunk)
    assert ([d.read_at.offset for d in first.deliveries], first.before) == (
        [0, 1, 2, 3],
        {0: Place(0, Mark(READING, 10, Level.GROUP))},
    )
    attempts.begun(first)
    attempts.done(first, {0: 4})
    second = attempts.next(first.rest)
    assert [d.read_at.offset for d in second.deliveries] == [4, 5, 6, 7]
    again = Attempts(group_records=4)  # the second group has killed
    again.learn({0: second.before[0]})
    alone = again.next(chunk[4:])
    assert ([d.read_at.offset for d in alone.deliveries], alone.before) == (
        [4],
        {0: Place(4, Mark(READING, 8, Level.ALONE))},
    )


def test_a_try_counts_little_once_its_records_are_read() -> None:
    attempts = Attempts()
    attempts.learn({0: Place(3, Mark(WRITING, 4))})
    step = attempts.next([a_delivery(0, 3)])
    attempts.begun(step)
    assert attempts.lessened() == {0: Place(3, Mark(2 * WRITING, 4))}
    assert attempts.take_back() == {0: Place(3, Mark(WRITING, 4))}
    assert attempts.lessened() == {}
