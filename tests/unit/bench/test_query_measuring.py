"""The benchmark of reading compares what it is answered, takes the best way as the limit, and tells what was missed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bench.query.commands import Plain
from tests.bench.query.measuring import Latencies, Measured, Plan, measured
from tests.bench.query.process import Answer
from tests.bench.query.queries import Query

SLOW, FAST = Plain("slow", ("SELECT 1",)), Plain("fast", ("SELECT 2",))
A_PLAN = Plan(runs=4, seconds=60.0)


@dataclass
class Pretended:
    """A service that always answers the same, in 3 ms."""

    answer: bytes = b'{"totalCount": 7}'
    status: int = 200
    asked: list[str] = field(default_factory=list)
    ways: Mapping[str, float] = field(default_factory=lambda: {"slow": 5.0, "fast": 2.0})

    def connect(self) -> "Pretended":
        return self

    def get(self, path: str) -> Answer:
        self.asked.append(path)
        return Answer(self.status, self.answer, 3.0)

    def close(self) -> None:
        self.asked.append("closed")

    def plain_ms(self, plain: Plain) -> float:
        self.asked.append(plain.name)
        return self.ways[plain.name]

    def rows(self, sql: str) -> list[list[Any]]:
        return [[7]]


def count(true: Callable[[Callable[[str], list[list[Any]]]], object] = lambda rows: rows("")[0][0]) -> Query:
    return Query("totalCount", "/n", [SLOW, FAST], lambda answer: answer["totalCount"], true, target=3.0)


def test_the_fastest_way_is_the_limit() -> None:
    found = measured(Pretended(), count(), "filled", A_PLAN)
    assert (found.limit_name, found.limit.p50, found.ratio, found.met, found.trouble) == ("fast", 2.0, 1.5, True, None)
    assert found.ours == Latencies(3.0, 3.0, 4)


def test_ours_and_the_limit_are_asked_in_turns_each_of_them_first_as_often_as_last() -> None:
    service = Pretended()
    measured(service, count(), "filled", Plan(2, 60.0), before_each=lambda: service.asked.append("write"))
    assert service.asked == ["write", "fast", "slow", "/n", "write", "/n", "slow", "fast", "/n", "closed"]


def test_a_wrong_answer_is_told() -> None:
    trouble = measured(Pretended(), count(true=lambda _: 8), "filled", A_PLAN).trouble
    assert trouble == "WRONG ANSWER: 7 instead of 8"


def test_a_refusal_is_told_and_the_limit_is_measured_all_the_same() -> None:
    found = measured(Pretended(status=422, answer=b'{"error":"too much"}'), count(), "filled", A_PLAN)
    assert (found.ours, found.ratio, found.met) == (None, None, False)
    assert found.trouble
    assert found.trouble.startswith("422 after 3 ms")
    assert found.limit == Latencies(2.0, 2.0, 3)


@pytest.mark.parametrize(("p50", "allowance_ms", "met"), [(4.0, 0.0, True), (4.1, 0.0, False), (4.1, 3.0, True)])
def test_the_target_is_met_up_to_its_ratio_and_allowance(p50: float, allowance_ms: float, met: bool) -> None:
    ours, limit = Latencies(p50, p50, 9), Latencies(2.0, 2.0, 9)
    assert Measured("x", "filled", 2.0, allowance_ms, ours, limit, "fast").met is met
