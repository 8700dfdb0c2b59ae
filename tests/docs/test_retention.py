"""The commands of docs/retention.md are ours, and its numbers are those of the program."""

import re
import shlex
from pathlib import Path

import pytest
import rich_click as click

from deploy.cli import main
from deploy.retention import SHARE_OF_DISK
from ledger.bus.kafka_topics import RETENTION_DAYS
from ledger.bus.sqlite_log import Retention
from ledger.retention import KEY_DAYS
from ledger.settings import RetentionSection
from ledger.store.erasure import OLD_PARTS_SECONDS
from ledger.store.retention_clock import BELIEVED_AFTER_MS, LEAP_DAYS
from query_api.retention_book import REFRESH_SECONDS
from query_api.routes import ROUTES
from workers.drivers.retaining import RetainingPlan

TEXT = (Path(__file__).parents[2] / "docs" / "retention.md").read_text()
LINES = re.findall(r"^\.venv/bin/llmledger (.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_one(line: str) -> None:
    group, name, *arguments = shlex.split(line)
    commands = main.commands[group]
    assert isinstance(commands, click.RichGroup)
    commands.commands[name].make_context(name, arguments)


def test_every_path_is_served() -> None:
    named = set(re.findall(r"^(GET|PUT) +(/api/\S+)", TEXT, re.MULTILINE))
    assert len(named) == 2
    assert named <= set(ROUTES)


def test_the_numbers_are_those_of_the_program() -> None:
    plan = RetainingPlan()
    assert (plan.look_seconds, plan.run_seconds, plan.full_share, plan.blob_seconds) == (300, 86400, 0.9, 86400)
    assert (LEAP_DAYS, BELIEVED_AFTER_MS) == (3, 24 * 3600 * 1000)
    assert (RetentionSection().days, SHARE_OF_DISK, KEY_DAYS, REFRESH_SECONDS) == (3650, 2, 30, 10)
    assert (OLD_PARTS_SECONDS, Retention().seconds, RETENTION_DAYS) == (8 * 60, 24 * 3600, 7)
