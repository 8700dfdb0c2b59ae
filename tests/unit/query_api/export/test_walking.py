"""An export asks few questions where there is nothing, and again longer ones where short ones were cheap."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger.clock import to_milliseconds
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.settings import QueryCaps
from ledger.store.questions import Answer, PastACap, Question
from query_api.conditions import Conditions
from query_api.export.walking import FIRST_STRETCH_MS, Walk
from query_api.reading import Reader

NOW = datetime(2026, 4, 1, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
DAY_MS = FIRST_STRETCH_MS


@dataclass(slots=True)
class Emptied:
    """A store whose rows are all deleted. The first question about a whole day is too much for it."""

    oldest: Sequence[Sequence[Any]] | None  # what is said of the oldest row; None: that is too much as well
    asked: list[str] = field(default_factory=list)
    strained: bool = True

    async def run(self, question: Question) -> Answer:
        """No rows."""
        sql = question.statement.sql
        self.asked.append(sql)
        if "is_deleted" not in sql:
            if self.oldest is None:
                raise PastACap(159, 0.0)
            return Answer(self.oldest, 0.0, ())
        if self.strained:
            self.strained = False
            raise PastACap(159, 0.0)
        return Answer([], 0.0, ())


async def statements(store: Emptied, project: ProjectId | None = None, **conditions: Any) -> int:
    """How many it takes to find nothing."""
    walk = Walk(Conditions(**conditions), Reach(project), Reader(store, QueryCaps()), lambda: NOW)
    while (page := await walk.page()) is not None:
        assert not page
    return len(store.asked)


async def test_an_empty_store_is_asked_four_times() -> None:
    for project in (None, ProjectId("shop")):
        assert await statements(Emptied([]), project) == 4  # too much, less, how far down is anything, the rest


async def test_it_ends_at_the_oldest_row_there_is() -> None:
    assert await statements(Emptied([[NOW_MS - 3 * DAY_MS]])) < 15


async def test_where_nobody_can_say_which_row_is_the_oldest_stretches_become_longer_again() -> None:
    assert await statements(Emptied(None)) < 300


async def test_a_beginning_before_the_oldest_row_is_not_walked_to() -> None:
    assert await statements(Emptied([[NOW_MS - DAY_MS]]), created_from=1) < 15


async def test_a_beginning_after_the_oldest_row_is_the_end() -> None:
    store = Emptied([[0]], strained=False)
    assert await statements(store, created_from=NOW_MS - DAY_MS // 2) == 1
