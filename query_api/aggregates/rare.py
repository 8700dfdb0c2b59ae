"""Counting what few rows match, without the price of `FINAL` over all of them.

Rows of any version that match are candidates; one stands if no version of its key is higher. A higher one that matches
as well is a candidate itself. Where there are many candidates this is no gain, and the rows are deduplicated instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, from_int
from ledger.request_log import RowKey
from query_api.aggregates.questions import Question, rows_in
from query_api.aggregates.spans import DAY_MS
from query_api.aggregates.units import Unit
from query_api.candidates import ROW_KEY, these_keys
from query_api.reading import KEY_LIST, KEYS_PER_LOOK_UP, Reader

MOST_CANDIDATES = 2 * KEYS_PER_LOOK_UP
SHORT_MS = 2 * DAY_MS
"""So little time is deduplicated as quickly."""


@dataclass(frozen=True, slots=True)
class Counted:
    """When each of the rows that stand was created, and which servers told it."""

    created_at: Sequence[int]
    hosts: frozenset[str]


def is_worth_trying(units: Sequence[Unit]) -> bool:
    """Whether these units are long enough."""
    return sum(unit.asked.end - unit.asked.start for unit in units) > SHORT_MS


async def counted(asked: Question, units: Sequence[Unit], reader: Reader) -> Counted | None:
    """The rows of these units that match, whose conditions are on the row alone; None where they are not few."""
    rows = await reader.rows(_candidates(asked, units))
    if len(rows) > MOST_CANDIDATES:
        return None
    versions: dict[RowKey, int] = {}
    for _, project, created_at, id_, version in rows:
        key = RowKey(ProjectId(project), created_at, from_int(id_))
        versions[key] = max(version, versions.get(key, 0))
    hosts = {str(row[0]) for row in rows}
    keys, standing = list(versions), []
    for start in range(0, len(keys), KEYS_PER_LOOK_UP):
        for host, project, created_at, id_, version in await reader.rows(
            _highest_versions(keys[start : start + KEYS_PER_LOOK_UP])
        ):
            hosts.add(str(host))
            if versions.get(RowKey(ProjectId(project), created_at, from_int(id_))) == version:
                standing.append(int(created_at))
    return Counted(standing, frozenset(hosts))


def _candidates(asked: Question, units: Sequence[Unit]) -> Statement:
    bound = Bound()
    return bound.statement(
        f"SELECT hostName(), {KEY_LIST}, version FROM request_logs"
        f" WHERE {rows_in(asked, units, bound)} LIMIT {MOST_CANDIDATES + 1}"
    )


def _highest_versions(keys: Sequence[RowKey]) -> Statement:
    bound = Bound()
    return bound.statement(
        f"SELECT hostName(), {KEY_LIST}, max(version) FROM request_logs"
        f" WHERE {these_keys(keys, bound)} GROUP BY {ROW_KEY}"
    )
