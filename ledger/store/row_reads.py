"""Stored rows by their keys, in statements of a size that an engine takes."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from clickhouse_connect.driver import Client

from ledger.ids import ProjectId, RecordId, from_int, is_keyed, to_int
from ledger.request_log import RequestLog, RowKey
from ledger.store import Identity
from ledger.store.columns import BODY_COLUMNS, ROW_COLUMNS, Column, bodies_from, row_from, select_list, time_text

T = TypeVar("T")

IDS_PER_LOOK_UP = 1000


def read_rows(client: Client, keys: Collection[RowKey], *, with_bodies: bool) -> list[RequestLog]:
    """The current row of each key that has one, deleted ones left out."""
    rows: list[RequestLog] = []
    for project, group in _grouped(keys, lambda key: key.project):
        for start in range(0, len(group), IDS_PER_LOOK_UP):
            rows.extend(_rows_of(client, project, group[start : start + IDS_PER_LOOK_UP], with_bodies))
    return rows


def _rows_of(client: Client, project: ProjectId, keys: Sequence[RowKey], with_bodies: bool) -> list[RequestLog]:
    parameters = {
        "project": project,
        "times": [time_text(key.created_at) for key in keys],
        "ids": [to_int(key.id) for key in keys],
    }
    where = (
        "FINAL WHERE project = {project:String} AND created_at IN {times:Array(DateTime64(3, 'UTC'))}"
        " AND id IN {ids:Array(UInt128)} AND is_deleted = 0"
    )
    light = client.query(f"SELECT {select_list(ROW_COLUMNS)} FROM request_logs {where}", parameters=parameters)
    heavy = {}
    if with_bodies:
        found = client.query(f"SELECT {select_list(BODY_COLUMNS)} FROM request_bodies {where}", parameters=parameters)
        heavy = dict(map(bodies_from, found.result_rows))
    return [row_from(values, heavy.get(from_int(values[2]))) for values in light.result_rows]


def read_by_id(
    client: Client, table: str, columns: Sequence[Column], project: ProjectId, ids: Sequence[RecordId]
) -> list[Sequence[Any]]:
    """The values of these columns in all rows of these records, from a table in which most have none."""
    found: list[Sequence[Any]] = []
    for of_a_kind in _by_kind(ids):
        if _has_any(client, table, project, of_a_kind):
            for start in range(0, len(of_a_kind), IDS_PER_LOOK_UP):
                found += _rows_by_id(client, table, columns, project, of_a_kind[start : start + IDS_PER_LOOK_UP])
    return found


def _by_kind(ids: Sequence[RecordId]) -> list[list[RecordId]]:
    """Plain ids, which lie close together as they begin with a time, and keyed ones, which lie anywhere."""
    kinds: tuple[list[RecordId], list[RecordId]] = ([], [])
    for id_ in ids:
        kinds[is_keyed(id_)].append(id_)
    return [kind for kind in kinds if kind]


def _has_any(client: Client, table: str, project: ProjectId, ids: Sequence[RecordId]) -> bool:
    """Whether a record between the first and the last of these has a row: often none has.

    That costs 0.3 us per id, to name thousands of them in a statement 4 us of each.
    """
    parameters = {"project": project, "first": to_int(min(ids)), "last": to_int(max(ids))}  # texts sort as numbers do
    where = "project = {project:String} AND id BETWEEN {first:UInt128} AND {last:UInt128}"
    return bool(client.query(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", parameters=parameters).result_rows)


def _rows_by_id(
    client: Client, table: str, columns: Sequence[Column], project: ProjectId, ids: Sequence[RecordId]
) -> Sequence[Sequence[Any]]:
    sql = (
        f"SELECT {select_list(columns)} FROM {table} FINAL"
        " WHERE project = {project:String} AND id IN {ids:Array(UInt128)}"
    )
    return client.query(sql, parameters={"project": project, "ids": list(map(to_int, ids))}).result_rows


def ids_by_project(of: Collection[Identity]) -> Iterator[tuple[ProjectId, list[RecordId]]]:
    """The ids of each project, each of them once."""
    for project, group in _grouped(set(of), lambda identity: identity[0]):
        yield project, [id_ for _, id_ in group]


def by_project(of: Collection[Identity]) -> Iterator[tuple[ProjectId, list[RecordId]]]:
    """The same in groups of a size that one statement takes."""
    for project, ids in ids_by_project(of):
        for start in range(0, len(ids), IDS_PER_LOOK_UP):
            yield project, ids[start : start + IDS_PER_LOOK_UP]


def _grouped(items: Collection[T], key: Callable[[T], Any]) -> Iterator[tuple[Any, list[T]]]:
    for value, group in groupby(sorted(items, key=key), key=key):
        yield value, list(group)
