"""The commands of docs/batches.md do what it says, and its tables are those of the program."""

import json
import os
import re
import subprocess
from http import HTTPStatus
from pathlib import Path

import ingest_api.routes
from ingest_api.batches.framing import NDJSON
from ingest_api.batches.kinds import JUDGES
from ingest_api.batches.problems import CODES
from ingest_api.settings import IngestSettings
from ledger.settings import KeysSection, SqliteLogSection
from tests.support.standalone_process import Standalone

TEXT = (Path(__file__).parents[2] / "docs" / "batches.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_commands_work_as_pasted_and_the_second_one_stores_nothing_new(first_start: Standalone) -> None:
    assert first_start.first_key
    environment = {"PATH": os.environ["PATH"], "LEDGER": first_start.url, "LEDGER_KEY": first_start.first_key}
    first, second = [
        json.loads(
            subprocess.run(["bash", "-c", f"set -e\n{text}"], env=environment, check=True, capture_output=True).stdout
        )
        for text in COMMANDS
    ]
    assert [result["index"] for result in first["results"]] == [0, 1]
    assert [result["id"] for result in second["results"]] == [first["results"][0]["id"]]
    assert len(first_start.access().wait_for_requests(2)) == 2


def test_the_kinds_are_those_of_the_program_with_their_paths() -> None:
    rows = dict(re.findall(r"^\| `([\w.-]+)` \| `(/[\w/-]+)`", TEXT, re.MULTILINE))
    assert list(rows) == list(JUDGES)
    assert {("POST", path) for path in (*rows.values(), "/api/v1/reports")} <= set(ingest_api.routes.ROUTES)


def test_the_codes_are_those_of_the_program() -> None:
    named = re.findall(r"`(\w+)` \((\d{3})[):]", TEXT)
    assert len(named) == 5
    assert {int(status): code for code, status in named}.items() <= CODES.items()
    assert all(HTTPStatus(status) for status in CODES)


def test_the_limits_are_those_of_the_program() -> None:
    settings = IngestSettings(SqliteLogSection(Path("bus")), KeysSection(Path("keys")))
    assert (settings.max_batch_items, settings.max_batch_bytes, settings.max_body_bytes) == (
        1000,
        64 * 2**20,
        32 * 2**20,
    )
    assert settings.max_buffered_bytes == 256 * 2**20
    assert [name for name in NDJSON if f"`{name}`" not in TEXT] == []
