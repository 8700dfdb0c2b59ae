"""Failpoints: nothing unless armed, and then exactly what was asked."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledger.errors import Misconfigured
from ledger.failpoints import WINDOWS, FailpointRaised, arm, failpoint


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


@pytest.mark.parametrize("name", WINDOWS)
def test_nothing_happens_at_a_place_that_is_not_armed(name: str) -> None:
    failpoint(name)


def test_it_raises_at_the_time_that_was_asked_for_and_only_then() -> None:
    arm("B3:raise@2")
    failpoint("B3")
    with pytest.raises(FailpointRaised, match="B3"):
        failpoint("B3")
    failpoint("B3")


def test_without_a_count_it_acts_every_time() -> None:
    arm("A1:raise,A2:sleep=0")
    for _ in range(2):
        with pytest.raises(FailpointRaised):
            failpoint("A1")
        failpoint("A2")


def test_it_acts_only_on_bytes_that_hold_the_text() -> None:
    arm("B0:raise~poison")
    failpoint("B0", b"good")
    with pytest.raises(FailpointRaised):
        failpoint("B0", b"some poison inside")


def test_a_kill_ends_the_process_at_once() -> None:
    code = "from ledger.failpoints import arm, failpoint; arm('B2.keys:kill'); failpoint('B2.keys'); print('alive')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")


@pytest.mark.parametrize("text", ["B9:kill", "B3", "B3:explode", "B3:kill@x", "B3:sleep"])
def test_what_is_no_failpoint_is_refused_by_name(text: str) -> None:
    with pytest.raises(Misconfigured, match="LLMLEDGER_FAILPOINTS"):
        arm(text)
