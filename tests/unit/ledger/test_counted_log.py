"""Many warnings of a kind in one line: nothing is left out of the count."""

import asyncio
import logging

import pytest

from ledger.counted_log import CountedLog

NAME = "tests.counted"


async def later(seconds: float) -> None:
    """Return after everything that was to happen until then."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


async def test_the_first_is_written_at_once_and_those_that_follow_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = CountedLog(logging.getLogger(NAME), seconds=0.01)
    for _ in range(1000):
        counted.warning("Refused.", {"status": 503})
    assert [vars(line)["count"] for line in caplog.records] == [1]
    await later(0.02)
    told = [(line.getMessage(), vars(line)["status"], vars(line)["count"]) for line in caplog.records]
    assert told == [
        ("Refused.", 503, 1),
        ("Refused.", 503, 999),
    ]


async def test_each_kind_has_its_own_line(caplog: pytest.LogCaptureFixture) -> None:
    counted = CountedLog(logging.getLogger(NAME), seconds=60)
    for family in ("a", "b", "a"):
        counted.warning("Refused.", {"family": family})
    assert [vars(line)["family"] for line in caplog.records] == ["a", "b"]


async def test_after_a_quiet_second_the_next_one_is_written_at_once_again(caplog: pytest.LogCaptureFixture) -> None:
    counted = CountedLog(logging.getLogger(NAME), seconds=0.001)
    counted.warning("Refused.", {})
    await later(0.01)
    counted.warning("Refused.", {})
    assert [vars(line)["count"] for line in caplog.records] == [1, 1]
