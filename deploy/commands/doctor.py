"""`llmledger doctor`: looks at every part and says what to do. Exit code 1 while there is a problem."""

import sys
from typing import Any

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.context import json_option, show, tell
from deploy.commands.printable import printable
from deploy.commands.reaching import product, product_options
from ledger.doctor import Finding, Level, warning
from ledger.doctor import as_json as findings_as_json
from ledger.doctor.machine import version_findings

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


@click.command()
@click.option("--deep", is_flag=True, help="Look at all rows, not only at those of the last days.")
@product_options
@json_option
def doctor(deep: bool, as_json: bool, **target: Any) -> None:
    """Look at bus, store, schema, clock, disk, keys and versions, and say what to do where something is wrong."""
    with product(**target) as llmledger:
        answer = llmledger.request("GET", "/api/v1/admin/doctor", params={"deep": deep})
        findings = [Finding.from_json(value) for value in answer["findings"]]
        findings += _other_version(findings)
        tell(f"Looked at {llmledger.place}.")
    show(findings_as_json(findings), as_json, lambda: as_text(findings))
    if any(finding.level is Level.PROBLEM for finding in findings):
        sys.exit(1)


def _other_version(findings: list[Finding]) -> list[Finding]:
    """A product of another version than this command answers, but may not know what this one asks for."""
    (here,) = version_findings()
    there = next((finding.seen for finding in findings if finding.part == here.part), here.seen)
    if there.split(",")[0] == here.seen.split(",")[0]:
        return []
    return [warning(here.part, f"This command: {here.seen}", "Use the command of the version that runs.")]


def as_text(findings: list[Finding]) -> str:
    """A table, as wide as the terminal."""
    console = Console()
    table = Table(box=None, pad_edge=False)
    for name in ("", "Part", "What was seen", "What to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        level = Text(finding.level, style=_STYLES[finding.level])
        # as text: what was seen may hold anything, also what would be markup
        table.add_row(level, *(Text(printable(said)) for said in (finding.part, finding.seen, finding.do)))
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()
