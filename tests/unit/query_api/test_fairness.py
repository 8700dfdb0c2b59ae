"""Who gets the next slot, for any order of coming, going and giving up."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.errors import TooBusy
from query_api.fairness import Lanes

PLENTY = 1000


@dataclass(eq=False)
class Job:
    """Something that holds a slot until it is told to end."""

    lane: str
    began: bool = False
    end: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


@dataclass
class Floor:
    """Jobs under lanes, and the order in which they began."""

    lanes: Lanes
    jobs: list[Job] = field(default_factory=list)
    began: list[Job] = field(default_factory=list)

    async def come(self, lane: str) -> Job:
        job = Job(lane)
        self.jobs.append(job)
        job.task = asyncio.create_task(self._work(job))
        await settled()
        return job

    async def leave(self, job: Job) -> None:
        """End if it runs, give up if it waits."""
        assert job.task
        if job.began:
            job.end.set()
        else:
            job.task.cancel()
        await settled()
        self.jobs.remove(job)
        assert job.task.done()

    async def _work(self, job: Job) -> None:
        async with self.lanes.slot(job.lane):
            job.began = True
            self.began.append(job)
            await job.end.wait()

    def running(self, lane: str | None = None) -> list[Job]:
        return [job for job in self.jobs if job.began and lane in (None, job.lane)]

    def waiting(self, lane: str | None = None) -> list[Job]:
        return [job for job in self.jobs if not job.began and lane in (None, job.lane)]

    async def empty(self) -> None:
        while self.jobs:
            await self.leave(self.jobs[0])


async def settled() -> None:
    """Let everything happen that can happen by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


def names(jobs: Sequence[Job]) -> str:
    return "".join(job.lane for job in jobs)


async def come_all(floor: Floor, lanes: str) -> list[Job]:
    return [await floor.come(lane) for lane in lanes]


async def test_lanes_take_turns_however_many_of_one_came_first() -> None:
    floor = Floor(Lanes(1, PLENTY))
    await come_all(floor, "aaaaabbc")
    while floor.jobs:
        await floor.leave(floor.running()[0])
    assert names(floor.began) == "aabcabaa"


async def test_one_lane_never_has_all_slots_though_nobody_else_is_there() -> None:
    floor = Floor(Lanes(4, PLENTY))
    await come_all(floor, "aaaaaa")
    assert len(floor.running()) == 3
    late = await floor.come("b")
    assert late.began
    await floor.empty()


async def test_who_has_fewest_at_work_comes_first() -> None:
    floor = Floor(Lanes(4, PLENTY))
    slow = (await come_all(floor, "aaaa"))[0]
    quick = await come_all(floor, "bbbb")
    assert (names(floor.running()), names(floor.waiting())) == ("aaab", "abbb")
    await floor.leave(slow)
    assert names(sorted(floor.running(), key=lambda job: job.lane)) == "aabb"
    await floor.leave(quick[0])
    assert names(sorted(floor.running(), key=lambda job: job.lane)) == "aabb"
    await floor.empty()


async def test_a_single_slot_can_be_had_by_anybody() -> None:
    floor = Floor(Lanes(1, PLENTY))
    assert (await floor.come("a")).began
    await floor.empty()


async def test_a_full_lane_is_refused_and_the_others_are_not() -> None:
    floor = Floor(Lanes(2, 2))
    await come_all(floor, "aaa")
    with pytest.raises(TooBusy):
        async with floor.lanes.slot("a"):
            raise AssertionError("must not get here")
    assert (await floor.come("b")).began
    await floor.leave(floor.waiting("a")[0])
    assert not (await floor.come("a")).began
    await floor.empty()


async def test_who_is_cancelled_in_the_moment_of_its_turn_hands_it_on() -> None:
    floor = Floor(Lanes(1, PLENTY))
    first, second, third = await come_all(floor, "abc")
    assert second.task
    first.end.set()
    for _ in range(10):  # through every state between waiting and running
        await asyncio.sleep(0)
        if floor.lanes._lanes["b"].running:
            break
    second.task.cancel()
    await settled()
    assert third.began
    assert not second.began or second.task.cancelled()
    third.end.set()
    await settled()
    assert not floor.lanes._lanes


async def test_what_fails_gives_its_slot_back() -> None:
    lanes = Lanes(1, PLENTY)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            async with lanes.slot("a"):
                raise RuntimeError
    async with asyncio.timeout(5), lanes.slot("b"):
        pass


STEPS = st.lists(st.tuples(st.sampled_from(["come", "come", "leave", "give up"]), st.integers(0, 99)), max_size=60)


@given(slots=st.integers(1, 5), most_waiting=st.integers(1, 6), steps=STEPS)
def test_for_any_order_of_coming_and_going(slots: int, most_waiting: int, steps: list[tuple[str, int]]) -> None:
    asyncio.run(_any_order(Floor(Lanes(slots, most_waiting)), slots, most_waiting, steps))


async def _any_order(floor: Floor, slots: int, most_waiting: int, steps: list[tuple[str, int]]) -> None:
    for what, number in steps:
        before, runs = _state(floor), set(map(id, floor.running()))
        if what == "come":
            await _come_or_be_refused(floor, "abcde"[number % 5], most_waiting)
        else:
            among = floor.running() if what == "leave" else floor.waiting()
            if among:
                leaver = among[number % len(among)]
                await floor.leave(leaver)
                before = _without(before, leaver)
        new = [job for job in floor.began if id(job) not in runs and job in floor.jobs]
        _nobody_was_passed_over(before, new, slots)
        _bounds_hold(floor, slots)
    await floor.empty()
    assert not floor.lanes._lanes
    assert floor.lanes._free == slots


State = dict[str, tuple[int, int]]


def _state(floor: Floor) -> State:
    return {lane: (len(floor.running(lane)), len(floor.waiting(lane))) for lane in "abcde"}


def _without(state: State, leaver: Job) -> State:
    running, waiting = state[leaver.lane]
    left = (running - 1, waiting) if leaver.began else (running, waiting - 1)
    return {**state, leaver.lane: left}


async def _come_or_be_refused(floor: Floor, lane: str, most_waiting: int) -> None:
    full = len(floor.waiting(lane)) >= most_waiting
    job = await floor.come(lane)
    assert job.task
    assert job.task.done() == full
    if full:
        assert isinstance(job.task.exception(), TooBusy)
        floor.jobs.remove(job)


def _nobody_was_passed_over(before: State, new: Sequence[Job], slots: int) -> None:
    """Where one more began, no other lane was waiting that had fewer at work and could have had the slot."""
    assert len(new) <= 1
    for job in new:
        others = [running for lane, (running, waiting) in before.items() if waiting and lane != job.lane]
        assert all(running >= before[job.lane][0] or running >= max(1, slots - 1) for running in others)


def _bounds_hold(floor: Floor, slots: int) -> None:
    assert len(floor.running()) <= slots
    for lane in "abcde":
        assert len(floor.running(lane)) <= max(1, slots - 1)
        if floor.waiting(lane):  # then no slot is free, or the lane has as many as it may have
            assert len(floor.running()) == slots or len(floor.running(lane)) == max(1, slots - 1)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=40))
def test_lanes_that_wait_are_served_round_and_round(arrivals: list[str]) -> None:
    asyncio.run(_rounds(arrivals))


async def _rounds(arrivals: list[str]) -> None:
    """With one slot: between two turns of a lane, every lane that waited at the first has one."""
    floor = Floor(Lanes(1, PLENTY))
    first = await floor.come("z")
    for lane in arrivals:
        await floor.come(lane)
    await floor.leave(first)
    owed: dict[str, set[str]] = {}  # to whom each lane owes a turn before its next
    while floor.jobs:
        running = floor.running()[0]
        assert not owed.get(running.lane)
        owed = {lane: others - {running.lane} for lane, others in owed.items()}
        owed[running.lane] = {job.lane for job in floor.waiting()} - {running.lane}
        await floor.leave(running)
    assert sorted(names(floor.began)) == sorted([*arrivals, "z"])
