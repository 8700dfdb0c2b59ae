"""The order of new rows, and what a window covers."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Position
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId
from ledger.request_log import RowKey
from query_api.tail.windows import New, Window, in_order
from tests.support.builders import an_id

SHOP = ProjectId("shop")


def new(partition: int, offset: int, updated_at: int) -> New:
    return New(RowKey(SHOP, updated_at, an_id(updated_at, offset)), Position(1, partition, offset), updated_at)


rows = st.lists(
    st.builds(new, st.integers(0, 3), st.integers(0, 1000), st.integers(0, 50)),
    max_size=40,
    unique_by=lambda item: item.position,
)


@given(rows)
def test_the_order_keeps_that_of_every_partition_whatever_the_times_say(found: list[New]) -> None:
    ordered = in_order(found)
    assert sorted(item.position for item in ordered) == sorted(item.position for item in found)
    for partition in range(4):
        offsets = [item.position.offset for item in ordered if item.position.partition == partition]
        assert offsets == sorted(offsets)


def test_between_partitions_the_time_decides() -> None:
    ordered = in_order([new(0, 1, 10), new(0, 2, 30), new(1, 7, 20), new(1, 8, 40)])
    assert [item.updated_at for item in ordered] == [10, 20, 30, 40]


def test_a_window_covers_what_moved_and_partitions_that_were_not_there_before() -> None:
    window = Window({(1, 0): 5, (1, 1): 9}, {(1, 0): 8, (1, 1): 9, (2, 0): 0}, 0)
    assert window.moved == [((1, 0), 6, 8), ((2, 0), 0, 0)]


def test_places_that_are_ahead_of_what_is_settled_cover_nothing() -> None:
    assert Window({(1, 0): 8}, {(1, 0): 5}, 0).moved == []


def test_no_offset_becomes_a_character_of_the_statement() -> None:
    bound = Bound()
    clause = Window({(1, 0): 5}, {(1, 0): 777}, 0).clause(bound)
    assert ("777" in clause, sorted(bound.values.values())) == (False, [0, 1, 6, 777])


def test_who_leaves_out_what_stands_before_some_rows_is_before_the_first_of_each_partition() -> None:
    window = Window({(1, 0): 5}, {(1, 0): 9, (1, 1): 4}, 0)
    assert window.before([new(0, 8, 1), new(0, 7, 2)]) == {(1, 0): 6, (1, 1): 4}
    assert window.before([new(1, 0, 1)]) == {(1, 0): 9}
