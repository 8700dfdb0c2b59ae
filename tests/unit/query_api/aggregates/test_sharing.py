"""Askers share what is computed and no asker's end is another's; what is too much, or cannot be kept, is said."""

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.clock import to_milliseconds
from ledger.errors import LedgerError
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.settings import QueryCaps
from ledger.store import StoreUnavailable
from ledger.store.questions import Answer, Question
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.counting import count
from query_api.aggregates.facets import facets, facets_asked
from query_api.aggregates.histogram import histogram, histogram_asked
from query_api.aggregates.measures import COUNT
from query_api.aggregates.questions import Rows, question, span_of
from query_api.aggregates.statistics import statistics, statistics_asked
from query_api.aggregates.unpriced import unpriced, unpriced_asked
from query_api.conditions import Conditions
from query_api.errors import TooBusy, TooExpensive
from query_api.reading import Reader

NOW = datetime(2026, 12, 20, 12, 0, tzinfo=UTC)
SHOP = Reach(ProjectId("shop"))
MONTHS = [to_milliseconds(datetime(2026, month, 1, tzinfo=UTC)) for month in range(1, 13)]
JANUARY, FEBRUARY, MARCH, *_ = MONTHS
ALL = {"from": "2026-01-01", "to": "2026-12-01"}
AnswerOf = Callable[[str, int], Sequence[Sequence[Any]]]


def one_call(_sql: str, start: int) -> Sequence[Sequence[Any]]:
    return [("server", start, 1)]


@dataclass(slots=True)
class Months:
    """A store with a part in every month of a year. What is read of a month that is held waits until it is let go."""

    answer: AnswerOf = one_call
    held: dict[int, asyncio.Event] = field(default_factory=dict)
    begun: dict[int, asyncio.Event] = field(default_factory=dict)
    fail_after: LedgerError | None = None  # once rows were read, when the parts are asked for again
    read: list[list[int]] = field(default_factory=list)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, month: int) -> None:
        self.held[month], self.begun[month] = asyncio.Event(), asyncio.Event()

    async def run(self, question: Question) -> Answer:
        sql = question.statement.sql
        if "system.parts" in sql:
            if self.read and self.fail_after:
                raise self.fail_after
            return Answer([a_part(start) for start in MONTHS], 0.0, ())
        starts = [int(text) for text in re.findall(r"toInt64\((\d{9,})\)", sql)]
        self.read.append(starts)
        rows = [row for start in starts for row in self.answer(sql, start)]
        for start in starts:
            if start in self.held:
                await self._let_go(start)
        return Answer(rows, 0.0, ())

    async def _let_go(self, month: int) -> None:
        self.begun[month].set()
        try:
            await self.held[month].wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise

    def reader(self) -> Reader:
        return Reader(self, QueryCaps())


def a_part(month: int) -> Sequence[object]:
    start = month // 1000 + 3600
    name = f"{datetime.fromtimestamp(start, UTC):%Y%m}"
    return ("server", "ReplacingMergeTree", "request_logs", f"{name}_1_1_0", "abc", name, start, start + 3600)


def from_to(start: int, end: int) -> Conditions:
    return Conditions(created_from=start, created_before=end)


@pytest.mark.parametrize("first_to_end", [JANUARY, FEBRUARY])
async def test_who_hangs_up_takes_nothing_from_whoever_waits_for_the_same(first_to_end: int) -> None:
    store, aggregates = Months(), Aggregates(lambda: NOW)
    store.hold(JANUARY)
    store.hold(FEBRUARY)
    ann = asyncio.create_task(count(from_to(JANUARY, FEBRUARY), SHOP, aggregates, store.reader()))
    await store.begun[JANUARY].wait()
    bob = asyncio.create_task(count(from_to(JANUARY, MARCH), SHOP, aggregates, store.reader()))
    await store.begun[FEBRUARY].wait()
    ann.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ann
    for month in (first_to_end, JANUARY, FEBRUARY):
        store.held[month].set()
    assert await bob == 2
    assert store.read == [[JANUARY], [FEBRUARY]]


async def test_what_nobody_waits_for_any_more_ends_when_the_last_one_hangs_up() -> None:
    store, aggregates = Months(), Aggregates(lambda: NOW)
    store.hold(JANUARY)
    store.hold(FEBRUARY)
    ann = asyncio.create_task(count(from_to(JANUARY, FEBRUARY), SHOP, aggregates, store.reader()))
    await store.begun[JANUARY].wait()
    bob = asyncio.create_task(count(from_to(JANUARY, MARCH), SHOP, aggregates, store.reader()))
    await store.begun[FEBRUARY].wait()
    for asker in (ann, bob):
        asker.cancel()
    await asyncio.gather(ann, bob, return_exceptions=True)
    store.held[JANUARY].set()
    assert await count(from_to(JANUARY, FEBRUARY), SHOP, aggregates, store.reader()) == 1
    assert store.read == [[JANUARY], [FEBRUARY], [JANUARY]]


def too_much_by_user(sql: str, start: int) -> Sequence[Sequence[Any]]:
    if "user_id" in sql:
        raise TooExpensive("Too much.")
    return one_call(sql, start)


async def test_when_one_question_of_an_answer_fails_the_others_end() -> None:
    store, rows = Months(answer=too_much_by_user), Rows(Conditions(), SHOP)
    store.hold(JANUARY)
    questions = [question(rows, COUNT), question(rows, COUNT, ["user_id"])]
    with pytest.raises(TooExpensive):
        await Aggregates(lambda: NOW).of(questions, span_of(from_to(JANUARY, FEBRUARY), SHOP), store.reader())
    await asyncio.wait_for(store.given_up.wait(), 10)


@pytest.mark.parametrize("error", [TooBusy("busy"), TooExpensive("no time left"), StoreUnavailable("away")])
async def test_an_answer_that_cannot_be_kept_is_an_answer(error: LedgerError, caplog: pytest.LogCaptureFixture) -> None:
    store, aggregates = Months(fail_after=error), Aggregates(lambda: NOW)
    assert await count(from_to(JANUARY, MARCH), SHOP, aggregates, store.reader()) == 2
    assert "is not kept" in caplog.text
    store.fail_after = None
    assert await count(from_to(JANUARY, MARCH), SHOP, aggregates, store.reader()) == 2
    assert len(store.read) == 2


def three_groups(_sql: str, start: int) -> Sequence[Sequence[Any]]:
    return [("server", start, f"user {number} of {start}", 1) for number in range(3)]


async def test_groups_of_all_statements_of_an_answer_have_a_bound_and_reading_ends_there() -> None:
    store, aggregates = Months(answer=three_groups), Aggregates(lambda: NOW, most_groups=10)
    asked = question(Rows(Conditions(), SHOP), COUNT, ["user_id"])
    with pytest.raises(TooExpensive, match="more than 10 groups"):
        await aggregates.of([asked], span_of(from_to(JANUARY, MONTHS[8]), SHOP), store.reader())
    assert len(store.read) == 2  # of the three statements that eight months are read in


async def test_groups_that_were_kept_and_those_of_several_questions_count_too() -> None:
    store, aggregates = Months(answer=three_groups), Aggregates(lambda: NOW, most_groups=10)
    asked = question(Rows(Conditions(), SHOP), COUNT, ["user_id"])
    for start in (0, 2):
        await aggregates.of([asked], span_of(from_to(MONTHS[start], MONTHS[start + 2]), SHOP), store.reader())
    with pytest.raises(TooExpensive):
        await aggregates.of([asked], span_of(from_to(MONTHS[0], MONTHS[4]), SHOP), store.reader())
    with pytest.raises(TooExpensive):
        await aggregates.of([asked, asked], span_of(from_to(MONTHS[0], MONTHS[2]), SHOP), store.reader())
    assert len(store.read) == 2


class Witness(str):
    """A text that knows which threads looked it up."""

    __slots__ = ("threads",)
    threads: set[int]

    def __hash__(self) -> int:
        self.threads.add(threading.get_ident())
        return str.__hash__(self)


@pytest.mark.parametrize(
    "asking",
    [
        lambda aggregates, reader: facets(
            facets_asked(ALL | {"fields": "user"}, lambda: NOW), SHOP, aggregates, reader
        ),
        lambda aggregates, reader: unpriced(unpriced_asked(ALL, lambda: NOW), SHOP, aggregates, reader),
        lambda aggregates, reader: histogram(histogram_asked(ALL, lambda: NOW), SHOP, aggregates, reader),
        lambda aggregates, reader: statistics(
            statistics_asked(ALL | {"group_by": "user"}, lambda: NOW), SHOP, aggregates, reader
        ),
    ],
    ids=["facets", "unpriced", "histogram", "statistics"],
)
async def test_groups_are_never_added_up_in_the_thread_of_the_event_loop(asking: Any) -> None:
    seen = Witness("ann")
    seen.threads = set()
    store = Months(answer=lambda sql, start: rows_for(sql, start, seen))
    await asking(Aggregates(lambda: NOW), store.reader())
    assert seen.threads
    assert threading.get_ident() not in seen.threads


def rows_for(sql: str, start: int, seen: Witness) -> Sequence[Sequence[Any]]:
    """One row as each of the statements answers it."""
    if "grouping(" in sql:
        return [("server", start, 0, seen, 1)]
    if "metadata_keys))" in sql:
        return [("server", start, seen, 1)]
    if "cost_reason" in sql:
        return [("server", start, seen, "", "", *[1] * 10, ~1, 1)]
    if "status_code < 400" in sql:
        return [("server", start, seen, 0, 1, 0)]
    if "sipHash128" in sql and "groupArray" not in sql:
        return [("server", start, seen, "an identity", 1)]
    sums = 0 if "groupArray" not in sql else 23 if "duration_ms" in sql else 3
    return [("server", start, 0, 0, *[1] * sums, 1, [], [])] if sums else [("server", start, 1, *[~1, 1] * 4)]
