"""Parquet and Arrow: groups, batches, exact figures, and what a broken file still gives."""

import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.request_log import Bodies
from query_api.export.arrow_forms import ArrowStream, ParquetFile
from query_api.export.columns import LIGHT, Item
from tests.support.builders import A_TIME, a_request_log, an_id


def items(*numbers: int, **changes: Any) -> list[Item]:
    return [Item(a_request_log(id=an_id(A_TIME, number), **changes), Bodies()) for number in numbers]


def test_a_group_of_rows_is_written_once_it_is_large_enough() -> None:
    form = ParquetFile(LIGHT, group_bytes=5000)
    parts = [form.begin(), *(form.page(items(number)) for number in range(20)), form.end()]
    file = pq.ParquetFile(io.BytesIO(b"".join(parts)))
    assert 1 < file.num_row_groups < 20
    assert [row["id"] for row in file.read(columns=["id"]).to_pylist()] == [an_id(A_TIME, n) for n in range(20)]
    assert sum(1 for part in parts[1:-1] if part) in {file.num_row_groups, file.num_row_groups - 1}


def test_readers_can_leave_groups_out_by_time() -> None:
    form = ParquetFile(("created_at", "prompt_preview"), group_bytes=1)
    content = form.begin() + form.page(items(1)) + form.end()
    group = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    assert group.column(0).is_stats_set
    assert not group.column(1).is_stats_set


def test_every_page_of_a_stream_is_a_batch_of_its_own() -> None:
    form = ArrowStream(("id",))
    content = form.begin() + form.page(items(1, 2)) + form.page([]) + form.page(items(3)) + form.end()
    with pa.ipc.open_stream(content) as reader:
        assert [batch.num_rows for batch in reader] == [2, 1]


def test_a_broken_stream_gives_what_came_before() -> None:
    form = ArrowStream(("id",))
    whole = form.begin() + form.page(items(1, 2))
    cut = form.page(items(3))[:100]
    with pa.ipc.open_stream(whole + cut) as reader:
        assert reader.read_next_batch().num_rows == 2
        with pytest.raises(pa.ArrowInvalid, match="Expected to read"):
            reader.read_next_batch()


def test_a_broken_parquet_file_is_no_file() -> None:
    form = ParquetFile(("id",), group_bytes=1)
    content = form.begin() + form.page(items(1))
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(io.BytesIO(content))


@pytest.mark.parametrize("pico", [None, 0, 1, -1, 123_456_789_012_345_678, 2**63 - 1, -(2**63)])
def test_no_figure_is_rounded(pico: int | None) -> None:
    form = ParquetFile(("cost",))
    content = form.begin() + form.page(items(1, cost=pico)) + form.end()
    (row,) = pq.read_table(io.BytesIO(content)).to_pylist()
    assert row["cost"] == (None if pico is None else Decimal(pico) / 10**12)


@pytest.mark.parametrize("ms", [0, 1, A_TIME, 9_214_646_400_000])
def test_every_storable_time_is_kept_to_the_millisecond(ms: int) -> None:
    form = ArrowStream(("created_at", "received_at"))
    content = form.begin() + form.page(items(1, created_at=ms, received_at=None)) + form.end()
    with pa.ipc.open_stream(content) as reader:
        table = reader.read_all()
    assert table["created_at"].cast(pa.int64()).to_pylist() == [ms]
    assert table["received_at"].to_pylist() == [None]


def test_a_label_that_is_there_twice_counts_as_the_list_says() -> None:
    form = ArrowStream(("metadata",))
    content = form.begin() + form.page(items(1, metadata=(("a", "1"), ("b", ""), ("a", "2")))) + form.end()
    with pa.ipc.open_stream(content) as reader:
        assert reader.read_all().to_pylist() == [{"metadata": [("a", "2"), ("b", "")]}]
