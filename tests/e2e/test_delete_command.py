"""`llmledger delete` and `deletions`: with the product running, and on a folder on which nothing runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli import main
from tests.support.access import Access, at_last
from tests.support.child_process import run_command, succeeded
from tests.support.standalone_process import FIRST_PROJECT, Standalone, start_standalone

NEVER = {"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "3600"}
"""A worker that waits for a full batch: what is reported stays on the log."""


def insert(ledger: Access, user: str) -> str:
    answer = ledger.post("/api/logs/insert", {"model": "gpt-4o", "initiator": user})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def users(ledger: Access) -> list[str]:
    return sorted(row["user_id"] for row in ledger.requests())


@pytest.fixture
def held_back(tmp_path: Path) -> tuple[Access, Path]:
    """A folder whose log holds reports of two users that no worker has seen; nothing runs on it."""
    running = start_standalone(tmp_path, settings=NEVER)
    try:
        access = running.access()
        for user in ("ann", "bob", "ann"):
            insert(access, user)
        assert access.requests() == []
    finally:
        running.kill()
    return access, tmp_path


def on(home: Path) -> list[str]:
    return ["--data", str(home / "data"), "--project", FIRST_PROJECT]


def delete(home: Path, *arguments: str) -> Any:
    return json.loads(succeeded(["delete", *arguments, "--yes", "--json", *on(home)], home))


def test_reports_that_still_wait_on_the_log_go_too_and_later_ones_stay(held_back: tuple[Access, Path]) -> None:
    before, home = held_back
    accepted = delete(home, "--user", "ann")
    assert (accepted["state"], accepted["records"]) == ("waiting", 0)
    asked = run_command(["delete", "--user", "\x1b[31mzoe", "--wait", "3600", "--yes", *on(home)], home)
    assert (asked.returncode, "when llmledger is started" in asked.stderr) == (0, True)
    again = start_standalone(home)
    try:
        access = again.access(before.key)
        access.wait_for_requests(1)
        insert(access, "ann")
        assert at_last(lambda: users(access) == ["ann", "bob"])
        told = succeeded(["deletions", "--data", str(again.data), "--json"], home)
        states = {one["deletion"]: (one["state"], one["records"]) for one in json.loads(told)["deletions"]}
        assert (len(states), states[accepted["deletion"]]) == (2, ("applied", 2))
        shown = succeeded(["deletions", "--data", str(again.data)], home)
        assert ("\x1b" in shown, "user �[31mzoe" in shown) == (False, True)
        again.stop()
    finally:
        again.kill()


def test_it_asks_counts_waits_and_tells(first_start: Standalone) -> None:
    access, home = first_start.access(), first_start.data.parent
    for user in ("carol", "carol", "dave"):
        access.wait_for_entry(insert(access, user))
    own = ["--data", str(first_start.data), "--project", FIRST_PROJECT]
    counted = succeeded(["delete", "--user", "carol", "--dry-run", *own], home)
    assert "2 records of default match; 0 dead letters go with them." in counted
    asked = run_command(["delete", "--user", "carol", *own], home)
    assert (asked.returncode, "Delete 2 records" in asked.stderr) == (1, True)
    assert "carol" in users(access)

    told = succeeded(["delete", "--user", "carol", "--yes", "--wait", "30", *own], home)

    assert "applied" in told
    assert "2 records" in told
    assert "remaining: backups" in told
    assert "carol" not in users(access)
    assert "user carol" in succeeded(["deletions", *own], home)


@pytest.mark.parametrize("arguments", [[], ["--id", "x", "--user", "y"], ["--filter", "{"], ["--filter", "[]"]])
def test_wrong_usage_says_what_is_wrong(arguments: list[str]) -> None:
    refused = CliRunner().invoke(main, ["delete", *arguments])
    assert (refused.exit_code, "--" in refused.output) == (2, True)
