"""Rows ↔ columns, without an engine."""

import re
from collections.abc import Callable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Position
from ledger.ids import to_int
from ledger.request_log import Bodies, CostStatus, RequestLog
from ledger.store.columns import (
    BODY_COLUMNS,
    BODY_NAMES,
    DELETION_COLUMNS,
    KEY_COLUMNS,
    PATCH_COLUMNS,
    ROW_COLUMNS,
    TIME,
    Column,
    bodies_from,
    column_values,
    row_from,
    select_list,
)
from ledger.store.migrations import available
from tests.support.builders import a_request_log

DDL = "\n".join(ddl for _, ddl in available())
NOT_STORED_UNDER_THEIR_NAME = {"metadata", "position", "bodies"}


def declared(table: str) -> dict[str, str]:
    """The table's columns and types as its migration declares them."""
    (body,) = re.findall(rf"CREATE TABLE {table}\n\((.*?)\n\)\nENGINE", DDL, re.DOTALL)
    lines = (line.partition(" --")[0].strip().rstrip(",") for line in body.splitlines())
    columns = (line.partition(" ") for line in lines if line and not line.startswith("INDEX"))
    return {name: re.sub(r" CODEC.*", "", type_).strip() for name, _, type_ in columns}


def written(columns: tuple[Column, ...]) -> dict[str, str]:
    return {column.name: column.type for column in columns}


def test_every_table_is_written_in_the_columns_that_it_has() -> None:
    assert written(ROW_COLUMNS) == declared("request_logs")
    assert written(BODY_COLUMNS) == declared("request_bodies")
    assert written(PATCH_COLUMNS) == declared("request_patches")
    assert written(KEY_COLUMNS) == declared("request_keys")
    assert written(DELETION_COLUMNS) == declared("request_deletions")


PLAINLY: Mapping[str, Callable[[RequestLog], object]] = {
    "id": lambda row: to_int(row.id),
    "metadata_keys": lambda row: [name for name, _ in row.metadata],
    "metadata_values": lambda row: [value for _, value in row.metadata],
    "cost_status": lambda row: row.cost_status.value,
    "bus_generation": lambda row: row.position.generation,
    "bus_partition": lambda row: row.position.partition,
    "bus_offset": lambda row: row.position.offset,
}
"""Where a column holds something else than the field of its name."""

texts = st.none() | st.text(max_size=3)
rows = st.builds(
    a_request_log,
    created_at=st.integers(0, 2**40),
    position=st.builds(Position, st.integers(0, 255), st.integers(0, 9), st.integers(0, 2**39)),
    version=st.integers(0, 2**64 - 1),
    is_deleted=st.booleans(),
    received_at=st.none() | st.integers(0, 2**40),
    provider=texts,
    error=texts,
    user_id=texts,
    metadata=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=3).map(tuple),
    input_tokens=st.none() | st.integers(0, 2**62),
    cost_status=st.sampled_from(CostStatus),
    media_hashes=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    bodies=st.builds(Bodies, prompt=texts, extra=texts),
)


def plainly(column: Column, row: RequestLog) -> object:
    """The value of one row in one column, as the module's first sentences say it."""
    value = PLAINLY[column.name](row) if column.name in PLAINLY else getattr(row, column.name)
    return "" if value is None and "Nullable" not in column.type else value


@given(st.lists(rows, max_size=4))
def test_a_column_holds_the_value_of_each_row(items: list[RequestLog]) -> None:
    values = column_values(ROW_COLUMNS, items)
    assert [list(map(_listed, column)) for column in values] == [
        [_listed(plainly(column, row)) for row in items] for column in ROW_COLUMNS
    ]
    bodies = column_values(BODY_COLUMNS, items)[-len(BODY_NAMES) :]
    assert bodies == [[getattr(row.bodies, name) for row in items] for name in BODY_NAMES]


def _listed(value: object) -> object:
    """An array may be a list or a tuple."""
    return list(value) if isinstance(value, tuple) else value


def test_every_field_of_a_row_has_a_column() -> None:
    names = set(RequestLog.__struct_fields__) - NOT_STORED_UNDER_THEIR_NAME
    stored = {column.name for column in ROW_COLUMNS}
    assert names <= stored
    assert stored - names == {
        "metadata_keys",
        "metadata_values",
        "bus_generation",
        "bus_partition",
        "bus_offset",
    }
    assert set(BODY_NAMES) == set(Bodies.__struct_fields__)


def test_what_the_columns_hold_makes_the_row_again() -> None:
    row = a_request_log(position=Position(2, 3, 4), metadata=(("a", "1"), ("b", "")), bodies=None)
    values = [column[0] for column in column_values(ROW_COLUMNS, [row])]
    assert row_from(values) == row


def test_an_unknown_text_is_empty_in_its_column_and_none_again() -> None:
    row = a_request_log(user_id=None, provider=None, error=None, bodies=None)
    values = [column[0] for column in column_values(ROW_COLUMNS, [row])]
    read = dict(zip(written(ROW_COLUMNS), values, strict=True))
    assert (read["user_id"], read["provider"], read["error"]) == ("", "", None)
    assert row_from(values) == row


def test_bodies_keep_the_difference_between_nothing_and_empty() -> None:
    row = a_request_log(bodies=Bodies(prompt="", completion=None, raw_request="{}"))
    values = [column[0] for column in column_values(BODY_COLUMNS, [row])]
    assert bodies_from(values) == (row.id, row.bodies)
    assert values[2] == to_int(row.id)


def test_times_are_read_as_the_milliseconds_that_were_written() -> None:
    columns = [Column("at", TIME, lambda _: [0]), Column("then", f"Nullable({TIME})", lambda _: [0])]
    assert select_list(columns) == (
        "toUnixTimestamp64Milli(at) AS at_ms,"
        " if(then IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(then))) AS then_ms"
    )
