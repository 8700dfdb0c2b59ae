"""When a batch is worth taking: by count, by bytes, by age; never when there is nothing."""

import pytest

from ledger.settings import BatchSection
from workers.batching import CHUNKS, QUICK_SECONDS, BatchBuffer, Pace

LIMITS = BatchSection(max_rows=3, max_bytes=100, max_age_seconds=5.0)


class Seconds:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def buffer(seconds: Seconds) -> BatchBuffer[str]:
    return BatchBuffer(LIMITS, seconds)


def test_an_empty_buffer_is_never_ready(buffer: BatchBuffer[str], seconds: Seconds) -> None:
    seconds.now += 60
    assert buffer.seconds_until_ready() is None
    assert buffer.take(CHUNKS) == []


def test_the_count_makes_it_ready(buffer: BatchBuffer[str]) -> None:
    buffer.add("a", 1)
    buffer.add("b", 1)
    assert buffer.seconds_until_ready() == 5.0
    buffer.add("c", 1)
    assert buffer.seconds_until_ready() == 0


def test_the_bytes_make_it_ready(buffer: BatchBuffer[str]) -> None:
    buffer.add("a", 99)
    assert buffer.seconds_until_ready() == 5.0
    buffer.add("b", 1)
    assert buffer.seconds_until_ready() == 0


def test_age_counts_from_the_oldest_item(buffer: BatchBuffer[str], seconds: Seconds) -> None:
    buffer.add("a", 1)
    seconds.now += 2
    buffer.add("b", 1)
    assert buffer.seconds_until_ready() == 3.0
    seconds.now += 4
    assert buffer.seconds_until_ready() == 0


def test_age_does_not_count_while_the_buffer_is_empty(buffer: BatchBuffer[str], seconds: Seconds) -> None:
    buffer.add("a", 1)
    assert buffer.take(CHUNKS) == ["a"]
    seconds.now += 60
    buffer.add("b", 1)
    assert buffer.seconds_until_ready() == 5.0


def test_what_is_beyond_a_batch_stays_with_its_age(buffer: BatchBuffer[str], seconds: Seconds) -> None:
    for item in range(CHUNKS * LIMITS.max_rows):
        buffer.add(str(item), 1)
    seconds.now += 1
    buffer.add("beyond", 7)
    assert buffer.take(CHUNKS) == [str(item) for item in range(CHUNKS * LIMITS.max_rows)]
    assert (len(buffer), buffer.bytes) == (1, 7)
    seconds.now += 1
    assert buffer.seconds_until_ready() == 4.0


def test_a_worker_that_keeps_up_takes_little_and_one_that_is_behind_all_that_came(buffer: BatchBuffer[str]) -> None:
    for item in "abc":
        buffer.add(item, 1)
    assert buffer.take(CHUNKS) == ["a", "b", "c"]
    for item in "defghij":
        buffer.add(item, 1)
    assert buffer.take(CHUNKS) == ["d", "e", "f", "g", "h", "i", "j"]


def test_there_is_room_for_one_whole_batch_and_no_more(buffer: BatchBuffer[str]) -> None:
    assert buffer.room == CHUNKS * LIMITS.max_rows
    buffer.add("a", 99)
    assert buffer.room == CHUNKS * LIMITS.max_rows - 1
    buffer.add("b", 1)
    assert buffer.room == 0
    buffer.take(CHUNKS)
    for _ in range(CHUNKS * LIMITS.max_rows + 1):
        buffer.add("c", 0)
    assert buffer.room == 0


def test_no_more_is_taken_than_as_many_chunks_as_are_wanted(buffer: BatchBuffer[str]) -> None:
    for item in range(CHUNKS * LIMITS.max_rows):
        buffer.add(str(item), 1)
    assert buffer.take(1) == ["0", "1", "2"]
    assert buffer.take(2) == ["3", "4", "5", "6", "7", "8"]


def test_several_chunks_are_taken_at_once_only_while_the_batch_before_was_stored_quickly(seconds: Seconds) -> None:
    pace = Pace(seconds)
    taken = []
    for took in (QUICK_SECONDS, CHUNKS * QUICK_SECONDS, CHUNKS * QUICK_SECONDS + 1, QUICK_SECONDS + 1, 0.1):
        taken.append(pace.chunks)
        with pace.storing():
            seconds.now += took
    assert [*taken, pace.chunks] == [1, CHUNKS, CHUNKS, 1, 1, CHUNKS]


def test_an_item_above_the_bytes_is_a_batch_of_its_own(buffer: BatchBuffer[str]) -> None:
    buffer.add("huge", 1000)
    buffer.add("next", 1)
    assert buffer.take(CHUNKS) == ["huge"]
    assert buffer.take(CHUNKS) == ["next"]
    assert buffer.bytes == 0


def test_a_cleared_buffer_is_empty(buffer: BatchBuffer[str]) -> None:
    buffer.add("a", 100)
    buffer.clear()
    assert (len(buffer), buffer.bytes, buffer.seconds_until_ready()) == (0, 0, None)
