"""`llmledger doctor` from outside: on what runs, on a folder on which nothing runs, and where there is a problem."""

import json
from pathlib import Path

import httpx

from tests.support.access import Access
from tests.support.child_process import run_command, succeeded
from tests.support.kafka_settings import free_port
from tests.support.standalone_process import Standalone, start_standalone

PARTS = {"versions", "keys", "workers", "store", "schema", "clock", "parts", "dead letters", "rows"}


def problems(text: str) -> list[dict[str, str]]:
    return [finding for finding in json.loads(text) if finding["level"] == "problem"]


def test_it_looks_at_what_runs_without_being_given_a_key(first_start: Standalone, tmp_path: Path) -> None:
    found = succeeded(["doctor", "--data", str(first_start.data), "--json"], tmp_path)
    assert {finding["part"] for finding in json.loads(found)} >= PARTS
    assert problems(found) == []


def test_it_looks_at_a_folder_on_which_nothing_runs(tmp_path: Path) -> None:
    running = start_standalone(tmp_path)
    running.stop()
    found = succeeded(["doctor", "--data", str(running.data), "--json", "--deep"], tmp_path)
    assert {finding["part"] for finding in json.loads(found)} >= PARTS


def test_a_problem_is_told_with_its_remedy_and_as_the_exit_code(tmp_path: Path) -> None:
    settings = {
        "LLMLEDGER_STORE__DSN": f"http://127.0.0.1:{free_port()}/default",
        "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "LLMLEDGER_KEYS__FILE": str(tmp_path / "keys.json"),
        "LLMLEDGER_BLOBS__URL": tmp_path.as_uri(),
    }
    succeeded(["keys", "create", "--file", str(tmp_path / "keys.json"), "--project", "p", "--scope", "query"], tmp_path)
    ended = run_command(["doctor", "--json"], tmp_path, settings)
    assert ended.returncode == 1, ended.stderr
    assert {finding["part"] for finding in problems(ended.stdout)} == {"store", "kafka"}
    assert all(finding["do"] for finding in problems(ended.stdout))


def test_a_key_of_one_project_is_not_told_how_the_installation_is(ledger: Access) -> None:
    answer = httpx.get(f"{ledger.url}/api/v1/admin/doctor", headers={"Authorization": f"Bearer {ledger.key}"})
    assert answer.status_code == 403
