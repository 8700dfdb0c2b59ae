"""The table: each query with its path, the ways to its limit, the true answer, and the ratio that is aimed at."""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from ledger.ids import ProjectId, from_int
from ledger.request_log import RowKey
from query_api import cursors
from tests.bench.query import plain
from tests.bench.query.commands import Plain
from tests.bench.query.dataset import PROJECT, Parameters
from tests.bench.query.plain import OURS
from tests.bench.query.texts import COMMON, RARE

LISTING = "/api/v1/requests"
SIZE = 50
MORE = SIZE + 1  # a page by cursor also finds out whether there is a next one
CANDIDATES = 5_000
A_USER, A_MODEL = "user-77", "model-3"

_PICO_PER_USD = 10**12

Rows: TypeAlias = Callable[[str], list[list[Any]]]
Shown: TypeAlias = Callable[[Any], object]
Truth: TypeAlias = Callable[[Rows], object]


@dataclass(frozen=True, slots=True)
class Query:
    """One line of the table."""

    name: str
    path: str
    ways: Sequence[Plain]
    shown: Shown  # what is compared, of our decoded answer
    truth: Truth  # the same by deduplicated SQL
    target: float | None  # ratio to the limit, at most; None: it is only printed
    allowance_ms: float = 0.0  # on top of it, for HTTP
    weight: int = 0  # in the mix of many clients
    same: Callable[[Any, Any], bool] = operator.eq  # ours and the true one
    again: bool = False  # also asked each time after new rows came in, and after old partitions changed


FIRST_PAGE, CURSOR_PAGE = "first page of 50", "page deep down, by cursor"


def lists(of: Parameters, rows: Rows) -> list[Query]:
    """All but the statistics, for this data set; `rows` runs a statement on it."""
    return [*_pages(of, rows), *_searches(), *_counts(), *_sorted()]


def _pages(of: Parameters, rows: Rows) -> list[Query]:
    depth = of.rows * 2 // 5
    deep = _row_at(depth, rows)
    time, id_ = f"'{deep[0]}'", deep[1]
    before = f"{OURS} AND created_at <= {time} AND (created_at, id) < ({time}, {id_})"
    some_errors = f"{OURS} AND status_code >= 500 AND model_requested = '{A_MODEL}'"
    cursor = cursors.encode(RowKey(ProjectId(PROJECT), int(deep[2]), from_int(int(id_))))
    return [
        _page(FIRST_PAGE, "", OURS, weight=6, allowance_ms=3.0),
        _page(CURSOR_PAGE, f"&cursor={cursor}", before, weight=4),
        _page("user, newest first", f"&user_id={A_USER}", f"{OURS} AND user_id = '{A_USER}'", weight=3),
        _page("status:>=500 model:x, newest first", f"&q={quote(f'status:>=500 model:{A_MODEL}')}", some_errors, 2),
    ]


def _page(name: str, more: str, where: str, weight: int, allowance_ms: float = 0.0) -> Query:
    return Query(
        name,
        f"{LISTING}?view=full&limit={SIZE}{more}",
        plain.page_ways(where, MORE),
        _own_rows,
        lambda rows: _true_rows(rows(plain.true_page(where, SIZE))),
        target=2.0,
        allowance_ms=allowance_ms,
        weight=weight,
    )


def _searches() -> list[Query]:
    return [
        Query(
            f"search for a {name} word",
            f"{LISTING}?view=full&limit={SIZE}&q={word}",
            plain.search_ways(word, MORE),
            _own_rows,
            lambda rows, word=word: _true_rows(rows(plain.true_search(word, SIZE, CANDIDATES))),  # type: ignore[misc]
            target=2.0,
            weight=1,
        )
        for name, word in (("rare", RARE), ("common", COMMON))
    ]


def _counts() -> list[Query]:
    return [
        Query(
            f"totalCount, {name}",
            f"{LISTING}?pageSize=0{more}",
            plain.count_ways(where),
            lambda answer: answer["totalCount"],
            lambda rows, where=where: rows(plain.true_count(where))[0][0],  # type: ignore[misc]
            target=3.0,
            weight=1,
            again=True,
        )
        for name, more, where in (
            ("no filter", "", OURS),
            ("user filter", f"&user_id={A_USER}", f"{OURS} AND user_id = '{A_USER}'"),
        )
    ]


def _sorted() -> list[Query]:
    found = []
    for name, column in (("cost", "cost"), ("duration", "duration_ms")):
        order = f"{column} DESC NULLS LAST, id DESC"
        found.append(
            Query(
                f"sorted by {name}, total, bodies",
                f"{LISTING}?sortBy={name}&pageSize={SIZE}",
                plain.counted_page_ways(OURS, SIZE, order),
                _documented,
                lambda rows, order=order: _true_documented(rows, order),  # type: ignore[misc]
                target=1.5,
                weight=1,
            )
        )
    return found


def _row_at(depth: int, rows: Rows) -> Sequence[Any]:
    key = "toString(created_at), toString(id), toUnixTimestamp64Milli(created_at)"
    found = rows(f"SELECT {key} FROM request_logs WHERE {OURS} ORDER BY {plain.NEWEST} LIMIT 1 OFFSET {depth}")
    return found[0]


def _own_rows(answer: Any) -> object:
    return [
        (row["id"], row["status_code"], row["model_requested"], row["user_id"], _pico(row["cost"]))
        for row in answer["data"]
    ]


def _true_rows(found: Sequence[Sequence[Any]]) -> object:
    return [(from_int(int(id_)), status, model, user, cost) for id_, status, model, user, cost in found]


def _documented(answer: Any) -> object:
    rows = [
        (row["id"], row["status"], row["model"], row["user_id"], _pico(row["cost"]), row["completion"])
        for row in answer["requests"]
    ]
    return answer["totalCount"], rows


def _true_documented(rows: Rows, order: str) -> object:
    completions = dict(map(tuple, rows(plain.true_bodies(OURS, SIZE, order))))
    found = rows(plain.true_page(OURS, SIZE, order))
    listed = [(from_int(int(row[0])), *row[1:], completions[row[0]]) for row in found]
    return rows(plain.true_count(OURS))[0][0], listed


def _pico(usd: str | float | None) -> int | None:
    return None if usd is None else round(float(usd) * _PICO_PER_USD)


def decoded(body: bytes) -> Any:
    """Our answer."""
    return json.loads(body)
