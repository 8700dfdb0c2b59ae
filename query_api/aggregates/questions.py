"""A question about rows, without its time → one statement over units of time. What it asks is its identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from query_api import spans
from query_api.aggregates.measures import CREATED, Measure, bins
from query_api.aggregates.partials import Widths
from query_api.aggregates.parts import ROWS_TABLE, tables_read
from query_api.aggregates.spans import Span
from query_api.aggregates.units import Unit
from query_api.conditions import Conditions, where

LIMITS: Mapping[str, object] = {
    "max_result_rows": 400_000,  # groups of all units
    "max_rows_to_group_by": 4_000_000,  # with each of their bins
}
"""Beyond them an answer is too expensive, for the engine's memory or for ours."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows are meant, whatever their time."""

    conditions: Conditions
    reach: Reach
    also: str = "1"  # a further condition of ours

    def where(self, within: Reach, bound: Bound) -> str:
        """The condition on them, within a reach that may also have bounds in time."""
        return f"{where(self.conditions, within, bound)} AND {self.also}"


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows, how they are grouped, and what is measured of each group."""

    identity: str
    """Two questions of one identity have one answer, whoever asks: whose rows they are about is part of it."""
    tables: frozenset[str]
    rows: Rows
    keys: tuple[str, ...]
    key_values: Mapping[str, Any]
    measure: Measure
    each: bool = False  # by each of the keys alone: a group's key is the place of the one, and its value
    many: bool = False  # there may be very many groups
    few_may_match: bool = False  # of the rows, which are only counted, and the conditions are on the row alone

    @property
    def widths(self) -> Widths:
        """How many columns of each sort its statement answers, after the server and the unit."""
        return self.measure.widths(2 if self.each else len(self.keys))


def question(
    rows: Rows, measure: Measure, keys: Sequence[str] = (), bound: Bound | None = None, *, each: bool = False
) -> Question:
    """The question about these rows. `bound` holds the values of the keys. Raises `BadFilter`."""
    timeless = Rows(replace(rows.conditions, created_from=None, created_before=None), _timeless(rows.reach), rows.also)
    key_values = dict(bound.values) if bound else {}
    all_values = Bound(dict(key_values))
    clause = timeless.where(timeless.reach, all_values)
    identity = repr((clause, sorted(all_values.values.items()), tuple(keys), measure, each))
    tables = tables_read(clause) | {ROWS_TABLE}
    return Question(identity, tables, timeless, tuple(keys), key_values, measure, each)


def span_of(conditions: Conditions, reach: Reach) -> Span:
    """The time that the conditions are about, as far as calls of that time are kept."""
    start, earliest = conditions.created_from, reach.earliest
    return Span(start if earliest is None else max(earliest, start or 0), conditions.created_before)


def _timeless(reach: Reach) -> Reach:
    """What is kept no longer is left to the span, where it can: so the question is the same tomorrow."""
    return reach if reach.earliest is None else Reach(reach.project)


def rows_in(asked: Question, units: Sequence[Unit], bound: Bound) -> str:
    """The condition on the rows of these units. Bodies are looked into within the same time."""
    first, last = min(unit.asked.start for unit in units), max(unit.asked.end for unit in units)
    clause = asked.rows.where(spans.span(asked.rows.reach, first, last), bound)
    runs: list[list[int]] = []
    for unit in sorted(units, key=lambda unit: unit.asked):
        if runs and runs[-1][1] == unit.asked.start:
            runs[-1][1] = unit.asked.end
        else:
            runs.append([unit.asked.start, unit.asked.end])
    if len(runs) == 1:
        return clause
    inside = " OR ".join(f"(created_at >= {bound.time(a)} AND created_at < {bound.time(b)})" for a, b in runs)
    return f"{clause} AND ({inside})"


def statement(asked: Question, units: Sequence[Unit]) -> Statement:
    """The groups of each unit: server, start of the unit, key, sums, peaks, bins and their counts."""
    bound = Bound(dict(asked.key_values))
    unit = _unit(units)
    rows = f"FROM request_logs FINAL WHERE {rows_in(asked, units, bound)}"
    names = [f"key{number}_" for number in range(len(asked.keys))]
    keys = [f"{sql} AS {name}" for sql, name in zip(asked.keys, names, strict=True)]
    if asked.measure.histogram is None:
        return bound.statement(_plain(asked, unit, names, keys, rows))
    return bound.statement(_with_bins(asked.measure, unit, names, keys, rows))


def _plain(asked: Question, unit: str, names: Sequence[str], keys: Sequence[str], rows: str) -> str:
    sums = [column for item in asked.measure.sums for column in item.columns]
    which = [f"grouping({', '.join(names)})"] if asked.each else []
    columns = ["hostName()", f"{unit} AS unit_", *which, *keys, *sums, *asked.measure.peaks]
    sets = ", ".join(f"(unit_, {name})" for name in names)
    by = f"GROUPING SETS ({sets})" if asked.each else ", ".join(["unit_", *names])
    return f"SELECT {', '.join(columns)} {rows} GROUP BY {by}"


def _with_bins(measure: Measure, unit: str, names: Sequence[str], keys: Sequence[str], rows: str) -> str:
    """Grouped by bin first, which is much less work than a map of bins per group."""
    sums = [f"{item.sql} AS sum{number}_" for number, item in enumerate(measure.sums)]
    peaks = [f"{peak} AS peak{number}_" for number, peak in enumerate(measure.peaks)]
    inner = ", ".join([f"{unit} AS unit_", *keys, *sums, *peaks, f"{bins(measure)} AS bin_", "count() AS n_"])
    group = ", ".join(["unit_", *names])
    totals = [column for number, item in enumerate(measure.sums) for column in item.over(f"sum(sum{number}_)")]
    highest = [f"max(peak{number}_)" for number in range(len(measure.peaks))]
    outer = ", ".join(["hostName()", group, *totals, *highest, "groupArray(bin_)", "groupArray(n_)"])
    return f"SELECT {outer} FROM (SELECT {inner} {rows} GROUP BY {group}, bin_) GROUP BY {group}"


def _unit(units: Sequence[Unit]) -> str:
    starts = ", ".join(f"toInt64({unit.asked.start})" for unit in units)
    return f"roundDown({CREATED}, [{starts}])"
