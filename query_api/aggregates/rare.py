"""Counting what few rows match, without the price of `FINAL` over all of them.

The instants at which any version that matches was created are read first; then, of the rows of these instants alone,
the highest version of each key says whether it matches. The row that stands is among the rows of any version, so none
is missed. Where there are many such instants this is no gain, and all rows are deduplicated instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.engine_time import TIME, time_text
from ledger.filtering.statements import Bound, Statement
from query_api import spans
from query_api.aggregates.measures import CREATED
from query_api.aggregates.questions import Question, rows_in
from query_api.aggregates.spans import DAY_MS
from query_api.aggregates.units import Unit
from query_api.conditions import NOT_DELETED, matching
from query_api.reading import ROW_KEY, Reader

MOST_INSTANTS = 2000
"""They are one bound value, of which a server takes at most 128 KiB."""

SHORT_MS = 2 * DAY_MS
"""So little time is deduplicated as quickly."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows that were created at each instant stand and match, and which servers told it."""

    at: Sequence[tuple[int, int]]
    hosts: frozenset[str]


def is_worth_trying(units: Sequence[Unit]) -> bool:
    """Whether these units are long enough."""
    return sum(unit.asked.end - unit.asked.start for unit in units) > SHORT_MS


async def counted(asked: Question, units: Sequence[Unit], reader: Reader) -> Counted | None:
    """The rows of these units that match, whose conditions are on the row alone; None where they are not few."""
    candidates = await reader.rows(_instants(asked, units))
    if len(candidates) > MOST_INSTANTS:
        return None
    instants = sorted({int(row[1]) for row in candidates})
    standing = await reader.rows(_standing(asked, instants)) if instants else []
    return Counted(
        [(int(row[1]), int(row[2])) for row in standing], frozenset(str(row[0]) for row in (*candidates, *standing))
    )


def _instants(asked: Question, units: Sequence[Unit]) -> Statement:
    bound = Bound()
    return bound.statement(
        f"SELECT hostName(), {CREATED} FROM request_logs WHERE {rows_in(asked, units, bound)} LIMIT {MOST_INSTANTS + 1}"
    )


def _standing(asked: Question, instants: Sequence[int]) -> Statement:
    bound = Bound()
    within = spans.span(asked.rows.reach, instants[0], instants[-1] + 1)
    moments = bound.value([time_text(ms) for ms in instants], f"Array({TIME})")
    matches = " AND ".join([NOT_DELETED, asked.rows.also, *matching(asked.rows.conditions, within, bound)])
    return bound.statement(
        f"SELECT hostName(), {CREATED}, count() FROM (SELECT created_at, argMax({matches}, version) AS stands_"
        f" FROM request_logs WHERE {within.clause(bound)} AND created_at IN {moments} GROUP BY {ROW_KEY})"
        " WHERE stands_ GROUP BY created_at"
    )
