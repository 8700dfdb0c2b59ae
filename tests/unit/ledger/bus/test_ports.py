"""What a commit names."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Delivery, Position, committable


def at(partition: int, offset: int) -> Delivery:
    return Delivery(Position(1, partition, offset), None, None, None)


def test_a_commit_names_the_next_record_of_each_partition_and_not_the_last() -> None:
    assert committable([at(0, 3), at(1, 9), at(0, 4)]) == {0: 5, 1: 10}
    assert committable([at(0, 0)]) == {0: 1}
    assert committable([]) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), min_size=1))
def test_the_order_of_the_deliveries_does_not_matter(places: list[tuple[int, int]]) -> None:
    assert committable(at(*place) for place in places) == committable(at(*place) for place in sorted(places))
    assert committable(at(*place) for place in places).keys() == {partition for partition, _ in places}


def test_positions_sort_by_generation_first() -> None:
    assert sorted([Position(2, 0, 0), Position(1, 5, 9), Position(1, 5, 8)]) == [
        Position(1, 5, 8),
        Position(1, 5, 9),
        Position(2, 0, 0),
    ]
