"""`llmledger search` and `llmledger tail` as an operator meets them, whatever runs and however."""

import json
from pathlib import Path
from typing import Any

from tests.support.access import Access, at_last
from tests.support.child_process import Child, run_command, start_command, succeeded
from tests.support.standalone_process import Standalone, start_standalone

HOSTILE = "say \x1b[31mred\u202e\nand more"


def a_report(model: str, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": HOSTILE}
    return {"reqPayload": {"model": model, "messages": [message]}, "statusCode": 200, **more}


def found(text: str) -> list[str]:
    return [json.loads(line)["model_requested"] for line in text.splitlines()]


def test_calls_are_found_while_the_product_runs_and_while_it_does_not(tmp_path: Path) -> None:
    product, data = start_standalone(tmp_path), ("--data", str(tmp_path / "data"))
    try:
        access = product.access()
        for model in ("m-1", "m-2", "m-3"):
            access.report(a_report(model))
            access.wait_for_requests(int(model[-1]))
        limited = run_command(["search", "--limit", "2", "--json", *data], tmp_path)
        assert (found(limited.stdout), "There are more than these 2" in limited.stderr) == (["m-3", "m-2"], True)
        with_key = {"LLMLEDGER_URL": product.url, "LLMLEDGER_API_KEY": access.key}
        assert found(succeeded(["search", "model:m-2", "--json"], tmp_path, with_key)) == ["m-2"]
        shown = succeeded(["search", "model:m-1", *data], tmp_path)
        assert_readable(shown)
        complaint_points_at_its_character(tmp_path, data)
        product.stop()
    finally:
        product.kill()
    assert found(succeeded(["search", "model:m-1 OR model:m-3", "--json", *data], tmp_path)) == ["m-3", "m-1"]
    nothing = run_command(["search", "model:m-9", *data], tmp_path)
    assert (nothing.returncode, nothing.stdout, "No calls" in nothing.stderr) == (0, "", True)
    refused = run_command(["tail", *data], tmp_path)
    assert (refused.returncode, "Start llmledger" in " ".join(refused.stderr.split())) == (1, True)


def assert_readable(shown: str) -> None:
    (line,) = shown.splitlines()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert line.endswith("say \ufffd[31mred\ufffd and more")
    assert "  m-1  200  " in line
    assert "$0" not in line  # nothing is known of its price


def complaint_points_at_its_character(home: Path, data: tuple[str, str]) -> None:
    for command in ("search", "tail"):
        wrong = run_command([command, "model:m-1 AND )", *data], home)
        assert wrong.returncode == 1
        lines = wrong.stderr.splitlines()
        at = lines.index("model:m-1 AND )")
        assert set(lines[at + 1]) == {" ", "^"}, wrong.stderr
        character = int(wrong.stderr.split("character ")[1].split(":")[0])
        assert lines[at + 1].index("^") == character - 1


def test_the_tail_goes_on_where_it_ended_when_the_product_was_started_anew(tmp_path: Path) -> None:
    product = start_standalone(tmp_path)
    tail: Child | None = None
    try:
        access = product.access()
        tail = start_command(["tail", "model:m-*", "--json", "--data", str(product.data)], tmp_path, log="tail.log")
        assert at_last(lambda: "Following" in messages(tail)), messages(tail)
        first = reported(access, "m-1", tail)
        product.stop()
        assert at_last(lambda: "Disconnected" in messages(tail)), messages(tail)
        product = again(product, tmp_path)
        access = product.access(access.key)
        second = reported(access, "m-2", tail)
        assert [row["model_requested"] for row in (first, second)] == ["m-1", "m-2"]
        assert "again" in messages(tail)
        assert tail.interrupt() == 130
        product.stop()
    finally:
        product.kill()
        if tail is not None:
            tail.kill()


def messages(tail: Child | None) -> str:
    return "" if tail is None else tail.messages()


def again(product: Standalone, home: Path) -> Standalone:
    product.kill()
    return start_standalone(home)


def reported(access: Access, model: str, tail: Child) -> dict[str, Any]:
    """What the tail prints of a call that was just reported."""
    access.report(a_report("another"))
    access.report(a_report(model))
    (line,) = tail.lines_until("model_requested")
    row: dict[str, Any] = json.loads(line)
    return row
