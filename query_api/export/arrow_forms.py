"""Parquet and the stream format of Arrow IPC: one fixed type per kind of column, whatever the rows hold.

Money is a decimal of USD with twelve places, so that no figure is rounded; null is unknown.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from query_api import cursors, views
from query_api.export.columns import CURSOR, Item, Kind, bodies_among, kind_of

TYPES: Mapping[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.TIME: pa.timestamp("ms", "UTC"),
    Kind.WHOLE: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.MONEY: pa.decimal128(38, 12),
    Kind.LABELS: pa.map_(pa.string(), pa.string()),
    Kind.JSON: pa.string(),
}
GROUP_BYTES = 32 * 1024**2
"""A Parquet file is read group by group, and its end describes each: pages alone would make too many."""

_STATISTICS = ["created_at", "project", "id", "model_requested", "user_id", "status_code", "cost"]
"""Columns by which readers leave groups out; statistics of every column would make the end of the file large."""


class ArrowStream:
    """A record batch per page. What came before a broken end can be read."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = _Batches(names)
        self._sink = _Sink()
        self._writer = pa.ipc.new_stream(self._sink, self._rows.schema)

    def begin(self) -> bytes:
        """The schema."""
        return self._sink.drained()

    def page(self, items: Sequence[Item]) -> bytes:
        """A batch of these rows; nothing for none."""
        if items:
            self._writer.write_batch(self._rows.batch(items))
        return self._sink.drained()

    def end(self) -> bytes:
        """The mark of the end."""
        self._writer.close()
        return self._sink.drained()


class ParquetFile:
    """Groups of rows of some megabytes; without its end it cannot be read at all."""

    def __init__(self, names: Sequence[str], group_bytes: int = GROUP_BYTES) -> None:
        self._rows = _Batches(names)
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(
            self._sink,
            self._rows.schema,
            compression="zstd",
            write_statistics=[name for name in _STATISTICS if name in names],
        )
        self._group_bytes = group_bytes
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0

    def begin(self) -> bytes:
        """The mark of the beginning."""
        return self._sink.drained()

    def page(self, items: Sequence[Item]) -> bytes:
        """A group of rows when enough of them came together, nothing before."""
        if items:
            batch = self._rows.batch(items)
            self._waiting.append(batch)
            self._waiting_bytes += batch.nbytes
        if self._waiting_bytes >= self._group_bytes:
            self._write()
        return self._sink.drained()

    def end(self) -> bytes:
        """The last group, and the description of the file."""
        self._write()
        self._writer.close()
        return self._sink.drained()

    def _write(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting, self._waiting_bytes = [], 0


class _Batches:
    """Rows → record batches of one schema."""

    def __init__(self, names: Sequence[str]) -> None:
        self.schema = pa.schema([pa.field(name, TYPES[kind_of(name)]) for name in names])
        self._values = [_value_of(name) for name in names]

    def batch(self, items: Sequence[Item]) -> pa.RecordBatch:
        """These rows."""
        arrays = [
            pa.array([value(item) for item in items], type=field.type)
            for field, value in zip(self.schema, self._values, strict=True)
        ]
        return pa.record_batch(arrays, schema=self.schema)


class _Sink(io.RawIOBase):
    """A file that only grows, and is emptied from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Keep it until it is taken."""
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        """How much was written in all."""
        return self._position

    def drained(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _value_of(name: str) -> Callable[[Item], Any]:
    if name in _OTHERWISE:
        return _OTHERWISE[name]
    if kind_of(name) is Kind.MONEY:
        return lambda item: _usd(getattr(item.log, name))
    if bodies_among([name]):
        return lambda item: getattr(item.bodies, name)
    return lambda item: getattr(item.log, name)


_OTHERWISE: Mapping[str, Callable[[Item], Any]] = {
    "metadata": lambda item: list(dict(item.log.metadata).items()),
    "cost_status": lambda item: item.log.cost_status.value,
    "price_version": lambda item: item.log.price_version or None,
    "media": lambda item: msgspec.json.encode(views.media(item.bodies.media)).decode(),
    CURSOR: lambda item: cursors.encode(item.log.key),
}


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else Decimal(pico).scaleb(-12)
