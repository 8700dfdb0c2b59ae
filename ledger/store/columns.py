"""RequestLog ↔ the store's columns: names, types, order, and the value of each.

Times travel as whole milliseconds, ids as 128-bit numbers. In a text column that is not Nullable, '' stands for None.
A column takes its values of all items at once: a call of ours per value cost more than the client's whole encoding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ledger.bus import Position
from ledger.deletion import Deletion, Scope
from ledger.engine_time import TIME as TIME
from ledger.engine_time import time_text as time_text
from ledger.ids import EventId, ProjectId, RecordId, from_int, to_int
from ledger.patch import KeyEntry, Patch
from ledger.report import Kind
from ledger.request_log import Bodies, CostStatus, RequestLog

LABEL = "LowCardinality(String)"


Values = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how it is declared and where its values come from, of many items at once."""

    name: str
    type: str
    values: Values

    @property
    def selected(self) -> str:
        """The expression that reads it back in the form in which it was written."""
        if self.type.endswith(f"{TIME})"):
            return (
                f"if({self.name} IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull({self.name}))) AS {self.name}_ms"
            )
        if self.type == TIME:
            return f"toUnixTimestamp64Milli({self.name}) AS {self.name}_ms"
        return self.name


def each(name: str, type_: str, value: Callable[[Any], Any]) -> Column:
    """A column whose values come from one item after the other: for tables that few rows go into."""
    return Column(name, type_, lambda items: [value(item) for item in items])


def _all(path: str) -> Values:
    """What stands at this path of attributes."""
    get = attrgetter(path)
    return lambda items: list(map(get, items))


def _plain(name: str, type_: str) -> Column:
    return Column(name, type_, _all(name))


def _text(name: str, type_: str = "String") -> Column:
    get = attrgetter(name)
    return Column(name, type_, lambda items: [value or "" for value in map(get, items)])


def _count(name: str) -> Column:
    return _plain(name, "Nullable(Int64)")


def _id(name: str) -> Column:
    get = attrgetter(name)
    return Column(name, "UInt128", lambda items: [to_int(id_) for id_ in map(get, items)])


def _of_metadata(at: int) -> Values:
    return lambda items: [[pair[at] for pair in item.metadata] for item in items]


_IDENTITY = (
    _plain("project", LABEL),
    _plain("created_at", TIME),
    _id("id"),
    _plain("version", "UInt64"),
    _plain("is_deleted", "UInt8"),
)

ROW_COLUMNS = (
    *_IDENTITY,
    _plain("source", LABEL),
    _plain("ingested_at", TIME),
    _plain("updated_at", TIME),
    _plain("requested_at", TIME),
    _plain("received_at", f"Nullable({TIME})"),
    _plain("duration_ms", "Nullable(Float64)"),
    _count("ttft_ms"),
    _text("provider", LABEL),
    _text("model_requested", LABEL),
    _text("model_served", LABEL),
    _plain("status_code", "Nullable(Int32)"),
    _plain("is_error", "Bool"),
    _plain("error", "Nullable(String)"),
    _plain("streamed", "Bool"),
    _plain("cached", "Bool"),
    _text("finish_reason", LABEL),
    _text("service_tier", LABEL),
    _text("provider_response_id"),
    _text("user_id"),
    _text("session_id"),
    _text("trace_id"),
    _text("environment", LABEL),
    _plain("description", "Nullable(String)"),
    Column("metadata_keys", f"Array({LABEL})", _of_metadata(0)),
    Column("metadata_values", "Array(String)", _of_metadata(1)),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("total_tokens"),
    _count("cache_read_tokens"),
    _count("cache_write_tokens"),
    _count("cache_write_5m_tokens"),
    _count("cache_write_1h_tokens"),
    _count("reasoning_tokens"),
    _count("audio_input_tokens"),
    _count("audio_output_tokens"),
    _count("cost_provided"),
    _count("cost_computed"),
    _count("cost"),
    Column("cost_status", "Enum8('provided' = 1, 'computed' = 2, 'unpriced' = 3)", _all("cost_status.value")),
    _text("cost_reason", LABEL),
    _plain("price_version", LABEL),
    _text("http_url"),
    _text("http_method", LABEL),
    _text("http_ip"),
    _plain("prompt_preview", "Nullable(String)"),
    _plain("completion_preview", "Nullable(String)"),
    _plain("media_hashes", "Array(String)"),
    Column("bus_generation", "UInt8", _all("position.generation")),
    Column("bus_partition", "UInt16", _all("position.partition")),
    Column("bus_offset", "UInt64", _all("position.offset")),
)

BODY_NAMES = Bodies.__struct_fields__


def _body(name: str) -> Column:
    return Column(name, "Nullable(String)", _all(f"bodies.{name}"))


BODY_COLUMNS = (*_IDENTITY, *(_body(name) for name in BODY_NAMES))

_POSITION = (
    Column("generation", "UInt8", _all("position.generation")),
    Column("offset", "UInt64", _all("position.offset")),
    Column("partition", "UInt16", _all("position.partition")),
)

PATCH_COLUMNS = (
    _plain("project", LABEL),
    _id("id"),
    *_POSITION,
    _id("event_id"),
    Column("kind", LABEL, _all("kind.value")),
    _plain("accepted_at", TIME),
    _plain("price_version", LABEL),
    _plain("body_hash", "String"),
    _plain("body", "String"),
    _plain("voidings", "UInt16"),
)

DELETION_COLUMNS = (
    _plain("project", LABEL),
    _id("event_id"),
    *_POSITION,
    Column("scope", LABEL, _all("scope.value")),
    _plain("what", "String"),
    _plain("accepted_at", TIME),
    _plain("found", "UInt64"),
    _plain("applied", "UInt8"),
    _plain("partitions", "UInt16"),
    Column("version", "UInt64", lambda deletions: [item.applied << 32 | item.found for item in deletions]),
)

PROGRESS_COLUMNS = (
    _plain("generation", "UInt8"),
    _plain("partition", "UInt16"),
    _plain("offset", "UInt64"),
)

KEY_COLUMNS = (
    _plain("project", LABEL),
    _id("id"),
    *_POSITION,
    _plain("created_at", TIME),
    _plain("body_hash", "String"),
)


def select_list(columns: Sequence[Column]) -> str:
    """The expressions that read these columns, in their order."""
    return ", ".join(column.selected for column in columns)


def column_values(columns: Sequence[Column], items: Sequence[Any]) -> list[list[Any]]:
    """The values of all items, one list per column."""
    return [column.values(items) for column in columns]


_TEXT_OR_NONE = {column.name for column in ROW_COLUMNS if column.type in {"String", LABEL}} - {
    "project",
    "source",
    "price_version",
}


def row_from(values: Sequence[Any], bodies: Bodies | None = None) -> RequestLog:
    """The row whose `ROW_COLUMNS` were read as these values."""
    read = {column.name: value for column, value in zip(ROW_COLUMNS, values, strict=True)}
    for name in _TEXT_OR_NONE:
        read[name] = read[name] or None
    position = Position(read.pop("bus_generation"), read.pop("bus_partition"), read.pop("bus_offset"))
    metadata = tuple(zip(read.pop("metadata_keys"), read.pop("metadata_values"), strict=True))
    read |= {
        "id": from_int(read["id"]),
        "is_deleted": bool(read["is_deleted"]),
        "cost_status": CostStatus(read["cost_status"]),
        "media_hashes": tuple(read["media_hashes"]),
    }
    return RequestLog(**read, metadata=metadata, position=position, bodies=bodies)


def bodies_from(values: Sequence[Any]) -> tuple[RecordId, Bodies]:
    """The id and the heavy columns whose `BODY_COLUMNS` were read as these values."""
    return from_int(values[2]), Bodies(**dict(zip(BODY_NAMES, values[len(_IDENTITY) :], strict=True)))


def patch_from(values: Sequence[Any]) -> Patch:
    """The patch whose `PATCH_COLUMNS` were read as these values."""
    project, id_, generation, offset, partition, event_id, kind, accepted_at, price_version, *rest = values
    position = Position(generation, partition, offset)
    body_hash, body, voidings = rest
    event = EventId(from_int(event_id))
    return Patch(
        ProjectId(project),
        from_int(id_),
        position,
        event,
        Kind(kind),
        accepted_at,
        price_version,
        body_hash,
        body,
        voidings,
    )


def key_entry_from(values: Sequence[Any]) -> KeyEntry:
    """The entry whose `KEY_COLUMNS` were read as these values."""
    project, id_, generation, offset, partition, created_at, body_hash = values
    return KeyEntry(ProjectId(project), from_int(id_), Position(generation, partition, offset), created_at, body_hash)


def deletion_from(values: Sequence[Any]) -> Deletion:
    """The deletion whose `DELETION_COLUMNS` were read as these values."""
    project, event_id, generation, offset, partition, scope, what, accepted_at, found, applied, partitions, _ = values
    event = EventId(from_int(event_id))
    position = Position(generation, partition, offset)
    known = found, bool(applied), partitions
    return Deletion(ProjectId(project), event, position, Scope(scope), what, accepted_at, *known)
