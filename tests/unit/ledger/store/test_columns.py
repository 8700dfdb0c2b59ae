"""Rows ↔ columns, without an engine."""

import re

from ledger.bus import Position
from ledger.ids import to_int
from ledger.request_log import Bodies, RequestLog
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
    columns = [Column("at", TIME, lambda _: 0), Column("then", f"Nullable({TIME})", lambda _: 0)]
    assert select_list(columns) == (
        "toUnixTimestamp64Milli(at) AS at_ms,"
        " if(then IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(then))) AS then_ms"
    )
