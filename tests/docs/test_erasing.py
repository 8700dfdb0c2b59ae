"""The commands of docs/erasing.md are ours, and what it promises of times is what the program does."""

import re
import shlex
from pathlib import Path

import pytest

from deploy.cli import main
from ledger.bus.kafka_topics import RETENTION_DAYS
from ledger.bus.sqlite_log import Retention
from ledger.store.erasure import OLD_PARTS_SECONDS
from query_api.routes import ROUTES
from workers.drivers.erasing import ErasingPlan

TEXT = (Path(__file__).parents[2] / "docs" / "erasing.md").read_text()
LINES = re.findall(r"^\.venv/bin/llmledger (.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_one(line: str) -> None:
    name, *arguments = shlex.split(line)
    command = main.commands[name]
    command.make_context(name, arguments)


def test_every_path_is_served() -> None:
    named = set(re.findall(r"^(GET|POST) +(/api/\S+)", TEXT, re.MULTILINE))
    assert named
    assert named <= set(ROUTES)


def test_the_times_are_those_of_the_program() -> None:
    assert (ErasingPlan().every_seconds, ErasingPlan().blob_seconds, ErasingPlan().share) == (300, 3600, 0.1)
    assert OLD_PARTS_SECONDS == 8 * 60
    assert (Retention().seconds, RETENTION_DAYS) == (24 * 3600, 7)
