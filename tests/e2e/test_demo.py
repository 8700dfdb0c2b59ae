"""`llmledger demo` as its user runs it, against the product as its user starts it."""

import json
import signal
from collections.abc import Iterator

import pytest

from ledger.keys import read_content
from tests.support.child_process import run_command, start_command
from tests.support.standalone_process import Standalone, start_standalone


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A product that has just been started for the first time."""
    standalone = start_standalone(tmp_path_factory.mktemp("demo"))
    try:
        yield standalone
        standalone.stop()
    finally:
        standalone.kill()


def listed(running: Standalone) -> int:
    """How many calls the product shows."""
    return len(running.access().requests())


def test_every_call_that_was_sent_is_listed_and_the_temporary_key_is_gone(running: Standalone) -> None:
    keys = read_content(running.data / "keys.json").keys
    before = listed(running)
    arguments = ["demo", "--data", str(running.data), "--count", "200", "--rate", "500", "--seed", "4", "--json"]
    ended = run_command(arguments, running.data.parent)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert (summary["accepted"], summary["seed"], summary["interrupted"]) == (200, 4, False)
    assert summary["updates"] > 0
    rows = running.access().wait_for_requests(before + 200)
    assert len(rows) == before + 200
    assert {row["cost"] is None for row in rows} == {True, False}
    assert read_content(running.data / "keys.json").keys == keys


def test_a_key_that_was_given_is_used(running: Standalone) -> None:
    before = listed(running)
    settings = {"LLMLEDGER_URL": running.url, "LLMLEDGER_API_KEY": running.first_key or ""}
    ended = run_command(["demo", "--count", "20", "--rate", "200"], running.data.parent, settings)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("20 calls accepted")
    assert len(running.access().wait_for_requests(before + 20)) == before + 20


def test_without_a_running_product_it_fails_with_advice(running: Standalone) -> None:
    ended = run_command(["demo", "--data", str(running.data.parent / "elsewhere")], running.data.parent)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "No LLM Ledger runs on" in ended.stderr


def test_an_interrupt_ends_it_with_130_a_summary_and_without_the_temporary_key(running: Standalone) -> None:
    before = listed(running)
    arguments = ["demo", "--data", str(running.data), "--count", "0", "--rate", "50", "--json"]
    demo = start_command(arguments, running.data.parent, log="demo.log")
    running.access().wait_for_requests(before + 5)
    assert len(read_content(running.data / "keys.json").keys) == 2
    demo.process.send_signal(signal.SIGINT)
    printed, _ = demo.process.communicate(timeout=30)
    assert demo.process.returncode == 130, demo.messages()
    summary = json.loads(printed)
    assert summary["interrupted"]
    assert len(running.access().wait_for_requests(before + summary["accepted"])) >= before + summary["accepted"]
    assert len(read_content(running.data / "keys.json").keys) == 1
