"""The statistics of the table: by model over all the rows, and by the hour over thirty days.

Counts, sums and maxima are compared exactly, averages and percentiles as closely as our answer promises them.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from query_api.views import iso
from tests.bench.query.commands import Plain
from tests.bench.query.dataset import DAY_MS, Parameters
from tests.bench.query.plain import OURS
from tests.bench.query.queries import LISTING, Query, Rows

BY_MODEL, BY_HOUR = "stats by model", "hourly series, 30 days"

_TOKENS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")
_TIMES = ("duration_ms", "ttft_ms")
_PER_MILLE = (500, 900, 950, 990)
_LEVELS = ", ".join(str(per_mille / 1000) for per_mille in _PER_MILLE)
_CLOSE, _CLOSE_MS = 0.004, 0.001
_PICO_DIGITS = 12

_SUMS = ", ".join(f"count({name}), sum({name})" for name in (*_TOKENS, "cost"))
_WAYS = {
    "sampled percentiles": f"quantiles({_LEVELS})",
    "percentiles as close": f"quantilesDD({_CLOSE}, {_LEVELS})",
}

Told = Mapping[Any, tuple[Sequence[Any], Sequence[float | None]]]
"""By group: what must be equal, and what may be off."""


def statistics(of: Parameters) -> list[Query]:
    """Both."""
    end = of.last_ms + DAY_MS  # new rows come after the last one
    return [
        _query(BY_MODEL, {"group_by": "model"}, "model_requested", (of.first_ms - DAY_MS, end)),
        _query(BY_HOUR, {"interval": "1h"}, "toStartOfHour(created_at)", (of.last_ms - 30 * DAY_MS, end)),
    ]


def _query(name: str, asked: Mapping[str, str], group: str, span: tuple[int, int]) -> Query:
    first, last = (f"fromUnixTimestamp64Milli({ms}, 'UTC')" for ms in span)
    where = f"{OURS} AND created_at >= {first} AND created_at < {last}"
    bounds = {"from": iso(span[0]), "to": iso(span[1])}
    by_hour = "interval" in asked
    return Query(
        name,
        f"{LISTING}/stats?{urlencode({**asked, **bounds})}",
        [Plain(way, (_limit(percentiles, group, where),)) for way, percentiles in _WAYS.items()],
        lambda answer: _shown(answer, by_hour=by_hour),
        lambda rows: _true(rows, group, where, by_hour=by_hour),
        target=1.5,
        weight=1,
        again=True,
        same=_same,
    )


def _limit(percentiles: str, group: str, where: str) -> str:
    times = ", ".join(f"count({name}), avg({name}), max({name}), {percentiles}({name})" for name in _TIMES)
    numbers = f"count(), countIf(is_error), {_SUMS}, {times}"
    return f"SELECT {group} AS key, {numbers} FROM request_logs WHERE {where} GROUP BY key"


def _shown(answer: Any, *, by_hour: bool) -> Told:
    found = {
        row["bucket"] if by_hour else row["group"]["model"]: _told(row) for row in answer["data"] if row["requests"]
    }
    return {**found, "total": _told(answer["total"])}


def _told(row: Any) -> tuple[Sequence[Any], Sequence[float | None]]:
    tokens = [number for name in _TOKENS for number in (row[name]["known"], row[name]["total"])]
    cost = None if row["cost"] is None else int(Decimal(row["cost"]).scaleb(_PICO_DIGITS))
    times = [row[name] for name in ("latency_ms", "ttft_ms")]
    exact = [row["requests"], row["errors"], *tokens, row["unpriced"], cost, *(time["known"] for time in times)]
    return exact, [time[name] for time in times for name in ("avg", "max", "p50", "p90", "p95", "p99")]


def _true(rows: Rows, group: str, where: str, *, by_hour: bool) -> Told:
    key = f"toUnixTimestamp({group})" if by_hour else group
    tokens = ", ".join(f"count({name}), sum({name})" for name in _TOKENS)
    head = f"count(), countIf(is_error), {tokens}, countIf(cost IS NULL), sum(cost), count(duration_ms), count(ttft_ms)"
    numbers = f"{head}, {', '.join(map(_true_times, _TIMES))} FROM request_logs FINAL WHERE {where}"
    found = rows(f"SELECT {key} AS key, {numbers} GROUP BY key") + rows(f"SELECT 'total', {numbers}")
    return {_key(row[0], by_hour=by_hour): _split(row[1:]) for row in found}


def _true_times(name: str) -> str:
    """Average, maximum, and the number of each rank."""
    ranks = ", ".join(f"sorted[toUInt64(greatest(1, ceil(length(sorted) * {at} / 1000)))]" for at in _PER_MILLE)
    ranks = ranks.replace("sorted", f"arraySort(groupArray({name}))")
    return f"avg({name}), max({name}), {ranks}"


def _key(value: Any, *, by_hour: bool) -> Any:
    return iso(1000 * value) if by_hour and value != "total" else value


def _split(numbers: Sequence[Any]) -> tuple[Sequence[Any], Sequence[float | None]]:
    exact = 2 + 2 * len(_TOKENS) + 2 + len(_TIMES)
    return list(numbers[:exact]), list(numbers[exact:])


def _same(ours: Any, true: Any) -> bool:
    return ours.keys() == true.keys() and all(
        ours[key][0] == true[key][0] and all(map(_close, ours[key][1], true[key][1])) for key in true
    )


def _close(ours: float | None, true: float | None) -> bool:
    if ours is None or true is None:
        return ours is true
    return math.isclose(ours, true, rel_tol=_CLOSE, abs_tol=_CLOSE_MS)
