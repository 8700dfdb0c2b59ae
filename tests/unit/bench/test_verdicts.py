"""The table says what was aimed at, what was missed and what was wrong; a figure without an aim has no verdict."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from tests.bench.figures import Figure, Target, summary, table

A_FIGURE = Figure(
    name="a thing", unit="1/s", ours=50.0, limit=100.0, limit_name="bare", target=Target(at_least=0.5), count=100
)


@dataclass(frozen=True)
class Case:
    figure: Figure
    aim: str
    verdict: str


CASES = [
    Case(A_FIGURE, "at least 0.5 x", "reached"),
    Case(replace(A_FIGURE, ours=49.0), "at least 0.5 x", "MISSED"),
    Case(replace(A_FIGURE, target=Target(at_most=0.4)), "at most 0.4 x", "MISSED"),
    Case(replace(A_FIGURE, target=Target(at_most=1.4)), "at most 1.4 x", "reached"),
    Case(replace(A_FIGURE, limit=None, target=Target(at_least=4000.0)), "at least 4,000 1/s", "MISSED"),
    Case(replace(A_FIGURE, limit=None, unit="us", target=Target(at_most=50.0)), "at most 50 us", "reached"),
    Case(replace(A_FIGURE, limit=None, ours=float("nan")), "at least 0.5 1/s", "MISSED"),
    Case(replace(A_FIGURE, target=None), "", ""),
    Case(replace(A_FIGURE, wrong="3 lost"), "at least 0.5 x", "WRONG: 3 lost"),
    Case(replace(A_FIGURE, target=None, wrong="3 lost"), "", "WRONG: 3 lost"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.aim} {case.verdict}")
def test_a_figure_is_held_against_its_target_by_its_ratio_or_without_a_limit_by_itself(case: Case) -> None:
    assert (case.figure.aim, case.figure.verdict) == (case.aim, case.verdict)


def test_the_target_and_the_verdict_stand_beside_the_ratio() -> None:
    row = table([replace(A_FIGURE, ours=49.0)]).splitlines()[-1]
    assert row.split("  ")[0] == "a thing"
    assert "0.49  at least 0.5 x  MISSED" in row


def test_what_has_no_limit_shows_none() -> None:
    row = table([Figure(name="memory", unit="MB", ours=7.0, about="at night")]).splitlines()[-1]
    assert row.split() == ["memory", "7.00", *["-", "MB"], *["-"] * 7, "at", "night"]


def test_the_summary_names_what_was_missed_and_what_was_wrong() -> None:
    figures = [
        A_FIGURE,
        replace(A_FIGURE, name="slow", ours=1.0),
        replace(A_FIGURE, name="bad", wrong="1 lost"),
        replace(A_FIGURE, target=None),
    ]
    assert summary(figures).splitlines() == ["1 of 3 targets reached.", "MISSED: slow", "bad: WRONG: 1 lost"]
