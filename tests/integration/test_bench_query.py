"""The benchmark of reading, small: every query is answered, and each answer is what deduplicated SQL finds."""

from pathlib import Path

import pytest

from tests.bench.query import mix
from tests.bench.query.measuring import Plan
from tests.bench.query.report import report
from tests.bench.query.session import AGAIN, CHANGED, FILLED, MERGED, Wish, run

ROWS = 100_000
PAGES = ["first page of 50", "page deep down, by cursor"]
COUNTS = ["totalCount, no filter", "totalCount, user filter"]
STATISTICS = ["stats by model", "hourly series, 30 days"]
ASKED_AGAIN = [*COUNTS, *STATISTICS]
ALL = [
    *PAGES,
    "user, newest first",
    "status:>=500 model:x, newest first",
    "search for a rare word",
    "search for a common word",
    *COUNTS,
    "sorted by cost, total, bodies",
    "sorted by duration, total, bodies",
    *STATISTICS,
]


@pytest.mark.slow
def test_every_query_of_the_table_is_measured_and_answers_what_deduplicated_sql_finds(tmp_path: Path) -> None:
    said: list[str] = []
    found = run(tmp_path, Wish(ROWS, Plan(runs=1, seconds=5.0), mix_seconds=0.5), said.append)
    assert {one.name: one.trouble for one in found.measured if one.trouble} == {}
    assert {state: [one.name for one in found.measured if one.state == state] for state in _states()} == _states()
    assert [(one.state, one.name) for one in found.smaller] == [(state, name) for state in _BOTH for name in PAGES]
    assert {kind.name: kind.failures for kind in found.mix} == {name: [] for name in (mix.ALL, *ALL)}
    assert all(one.ours and one.ours.p50 > 0 and one.limit.p50 > 0 for one in [*found.measured, *found.smaller])
    printed = report(found, ROWS)
    assert all(name in printed for name in ALL)


_BOTH = (FILLED, MERGED)


def _states() -> dict[str, list[str]]:
    return {
        name: names
        for state in _BOTH
        for name, names in (
            (state, ALL),
            (f"{state}, {AGAIN}", ASKED_AGAIN),
            (f"{state}, {CHANGED}", ASKED_AGAIN),
        )
    }
