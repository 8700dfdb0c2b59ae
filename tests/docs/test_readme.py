"""The commands of the README do what it says: they are run, or, for the cluster, at least understood."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click import Command, Group
from click.testing import CliRunner

from deploy.cli import main
from ledger.settings import known_variables
from tests.support.standalone_process import Standalone

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)  # in one go: a fence ends one block
    return [text for named, text in fenced if named == language]


def test_every_call_of_the_readme_works_as_pasted_one_after_the_other(first_start: Standalone, tmp_path: Path) -> None:
    script = tmp_path / "readme.sh"
    # What was reported is listed a moment later: the call that reads one record waits for it, as a reader would.
    read_one = "curl -sf $LEDGER/api/v1/requests/$ID"
    waiting = (
        "for again in $(seq 100); do " + read_one + ' -H "x-api-key: $LEDGER_KEY" >/dev/null && break; sleep 0.1; done'
    )
    pasted = "\n".join(blocks("sh")).replace(read_one, f"{waiting}\n{read_one}")
    script.write_text(f"set -euo pipefail\n{pasted}")
    assert first_start.first_key
    environment = {"PATH": os.environ["PATH"], "LEDGER": first_start.url, "LEDGER_KEY": first_start.first_key}
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('{"status":"ok"}') == 2
    assert '"status":"visible"' in done.stdout
    assert '"success":true' in done.stdout
    assert '"description":"checked by hand"' in done.stdout


def commands() -> list[list[str]]:
    lines = [line for block in (*blocks(""), *blocks("cluster")) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/llmledger")]


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_of_the_readme_is_one(arguments: list[str]) -> None:
    parsed: Command = main
    rest = list(arguments)
    while isinstance(parsed, Group) and rest:
        parsed = parsed.commands[rest.pop(0)]
    parsed.make_context(parsed.name, rest)


def test_the_settings_of_the_readme_exist() -> None:
    named = set(re.findall(r"export (LLMLEDGER_\w+)=", "".join(blocks("cluster"))))
    assert named
    assert named <= known_variables()


def test_the_targets_of_the_readme_are_in_the_makefile() -> None:
    named = {line.split()[1] for block in blocks("") for line in block.splitlines() if line.startswith("make ")}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named == {"run", "test", "kafka", "clickhouse"} & targets


def test_every_file_that_a_document_links_to_is_there() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} → {target}"


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`((?:ingest_api|workers|query_api|ledger|deploy|tests)/[\w/.]*)`", text):
        assert (ROOT / name).exists(), name


def test_help_leads_with_examples() -> None:
    assert "llmledger demo" in CliRunner().invoke(main, ["--help"]).output
