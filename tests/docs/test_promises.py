"""What `docs/promises.md` names is there: every test, every scenario; and every promise has something that backs it."""

import re
from pathlib import Path

from tests.faults.__main__ import scenarios

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "promises.md").read_text()


def rows(number: int) -> list[list[str]]:
    """The cells of the rows that begin with this promise."""
    lines = [line for line in TEXT.splitlines() if re.match(rf"\| (\*\*)?P{number}\b", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_promise_is_stated_and_backed() -> None:
    for number in range(1, 11):
        promise, backing = rows(number)
        assert len(promise) == 6, promise
        assert "`" in "".join(backing[1:]), f"P{number} is backed by nothing"


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", TEXT))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_scenario_that_is_named_is_one() -> None:
    known = {scenario.name for scenario in scenarios()}
    named = set(re.findall(r"`((?:[a-z]+-)+[a-z]+|poison)`", TEXT))
    assert len(named) > 20
    assert named <= known, named - known


def test_every_scenario_is_named_in_the_document() -> None:
    windows = re.compile(r"(kafka-)?window-.*")  # named together
    names = [scenario.name for scenario in scenarios() if not windows.fullmatch(scenario.name)]
    assert [name for name in names if f"`{name}`" not in TEXT] == []
