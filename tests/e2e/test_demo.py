"""`llmledger demo` as its user runs it, against the product as its user starts it."""

import json
import signal

from ledger.keys import read_content
from tests.support.child_process import run_command, start_command
from tests.support.standalone_process import Standalone


def listed(first_start: Standalone) -> int:
    """How many calls the product shows."""
    return len(first_start.access().requests())


def test_every_call_that_was_sent_is_listed_and_the_temporary_key_is_gone(first_start: Standalone) -> None:
    keys = read_content(first_start.data / "keys.json").keys
    before = listed(first_start)
    arguments = ["demo", "--data", str(first_start.data), "--count", "200", "--rate", "500", "--seed", "4", "--json"]
    ended = run_command(arguments, first_start.data.parent)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert (summary["accepted"], summary["seed"], summary["interrupted"]) == (200, 4, False)
    assert summary["updates"] > 0
    rows = first_start.access().wait_for_requests(before + 200)
    assert len(rows) == before + 200
    assert {row["cost"] is None for row in rows} == {True, False}
    assert read_content(first_start.data / "keys.json").keys == keys


def test_a_key_that_was_given_is_used(first_start: Standalone) -> None:
    before = listed(first_start)
    settings = {"LLMLEDGER_URL": first_start.url, "LLMLEDGER_API_KEY": first_start.first_key or ""}
    ended = run_command(["demo", "--count", "20", "--rate", "200"], first_start.data.parent, settings)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("20 calls accepted")
    assert len(first_start.access().wait_for_requests(before + 20)) == before + 20


def test_without_a_running_product_it_fails_with_advice(first_start: Standalone) -> None:
    ended = run_command(["demo", "--data", str(first_start.data.parent / "elsewhere")], first_start.data.parent)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "No LLM Ledger runs on" in ended.stderr


def test_an_interrupt_ends_it_with_130_a_summary_and_without_the_temporary_key(first_start: Standalone) -> None:
    before = listed(first_start)
    arguments = ["demo", "--data", str(first_start.data), "--count", "0", "--rate", "50", "--json"]
    demo = start_command(arguments, first_start.data.parent, log="demo.log")
    first_start.access().wait_for_requests(before + 5)
    assert len(read_content(first_start.data / "keys.json").keys) == 2
    demo.process.send_signal(signal.SIGINT)
    printed, _ = demo.process.communicate(timeout=30)
    assert demo.process.returncode == 130, demo.messages()
    summary = json.loads(printed)
    assert summary["interrupted"]
    assert len(first_start.access().wait_for_requests(before + summary["accepted"])) >= before + summary["accepted"]
    assert len(read_content(first_start.data / "keys.json").keys) == 1
