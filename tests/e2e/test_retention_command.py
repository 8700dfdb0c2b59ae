"""`llmledger retention show` and `set`: with the product running, and on a folder on which nothing runs."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli import main
from tests.support.child_process import run_command, succeeded
from tests.support.standalone_process import FIRST_PROJECT, Standalone

LONG_AGO = {"requestedAt": 1_750_000_000_000, "reqPayload": {"model": "gpt-4o"}, "statusCode": 200}
NINETY = {"LLMLEDGER_RETENTION__DAYS": "90"}


def shown(running: Standalone, settings: Mapping[str, str] | None = None) -> dict[str, Any]:
    own = ["--data", str(running.data), "--json"]
    found: dict[str, Any] = json.loads(succeeded(["retention", "show", *own], running.data.parent, settings))
    return found


def test_it_asks_sets_and_shows_and_what_was_set_outlives_the_process(first_start: Standalone) -> None:
    access, home = first_start.access(), first_start.data.parent
    own = ["--data", str(first_start.data), "--project", FIRST_PROJECT]
    old = access.report(LONG_AGO)
    access.wait_for_entry(old)
    new = access.report({"reqPayload": {"model": "gpt-4o"}, "statusCode": 200})
    access.wait_for_entry(new)

    refused = run_command(["retention", "set", "--days", "90", *own], home)
    assert (refused.returncode, "1 calls from before" in refused.stderr, "--yes" in refused.stderr) == (1, True, True)
    assert {row["id"] for row in access.requests()} == {old, new}

    assert "90 days" in succeeded(["retention", "set", "--days", "90", "--yes", *own], home)
    assert {row["id"] for row in access.requests()} == {new}
    assert access.get(f"/api/v1/requests/{old}").status_code == 404
    assert succeeded(["retention", "set", "--days", "400", *own], home)  # nothing goes: nobody is asked

    first_start.stop()
    there = shown(first_start, NINETY)
    assert [(one["project"], one["days"]) for one in there["projects"]] == [(FIRST_PROJECT, 400)]
    assert (there["default"]["days"], there["default"]["set"]) == (90, False)
    assert there["cap"]["max_bytes"] > there["cap"]["bytes"] > 0


@pytest.mark.parametrize("days", ["0", "ten", "-1", "40000", "1.5", ""])
def test_wrong_usage_says_what_is_wrong(days: str) -> None:
    refused = CliRunner().invoke(main, ["retention", "set", "--days", days])
    assert (refused.exit_code, "--days" in refused.output) == (2, True)
