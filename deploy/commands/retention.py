"""`llmledger retention show` and `set`: how long calls are kept, per project and by default."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import rich_click as click

from deploy.admin_client import AdminClient
from deploy.commands.context import Failed, json_option, show
from deploy.commands.printable import printable_line
from deploy.commands.reaching import product, product_options
from deploy.retention import gigabytes
from ledger.retention import LONGEST_DAYS, SHORTEST_DAYS
from ledger.settings import FOREVER

PATH = "/api/v1/admin/retention"
LIKE_OTHERS = "default"


@click.group()
def retention() -> None:
    """Say how long calls are kept. Older ones are hidden at once, and deleted every night."""


@retention.command(name="show")
@click.option("--project", help="This project alone (default: all that have something of their own).")
@product_options
@json_option
def show_retention(
    project: str | None,
    as_json: bool,
    **target: Any,  # url, key and data
) -> None:
    """Show what is kept, what was set, and how the last deletion went."""
    with product(**target) as llmledger:
        found = llmledger.request("GET", PATH, params={"project": project} if project else {})
    show(found, as_json, lambda: "\n".join(_lines(found)))


@retention.command(name="set")
@click.option("--project", help="Whose calls; with a key of all projects, none means the default of all.")
@click.option(
    "--days",
    required=True,
    metavar="DAYS",
    help="A number of days; forever; or default, as those without days have it.",
)
@click.option("--yes", is_flag=True, help="Do not ask, although calls will be deleted.")
@product_options
@json_option
def set_retention(
    project: str | None,
    days: str,
    yes: bool,
    as_json: bool,
    **target: Any,  # url, key and data
) -> None:
    """Say how long calls are kept. What is older is hidden at once, and deleted by the next nightly run.

    \b
    llmledger retention set --project shop --days 90
    llmledger retention set --days forever
    """
    body = {"days": _days(days), **({"project": project} if project else {})}
    with product(**target) as llmledger:
        if not yes:
            _ask(llmledger, body)
        found = llmledger.request("PUT", PATH, body=body)
    show(found, as_json, lambda: _line(found))


def _ask(llmledger: AdminClient, body: Mapping[str, Any]) -> None:
    """Let a person confirm that calls go. Raises `Failed` where nobody can be asked."""
    found = llmledger.request("PUT", PATH, body={**body, "dry_run": True})
    if not found["calls"]:
        return
    said = f"{found['calls']} calls from before {found['earliest']} would be hidden at once, and deleted for good."
    if not sys.stdin.isatty():
        raise Failed(f"{said} Nothing was set. Say --yes to have it so.")
    click.confirm(f"{said} Go on?", abort=True, err=True)


def _days(text: str) -> int | str | None:
    if text == FOREVER:
        return None
    if text == LIKE_OTHERS:
        return LIKE_OTHERS
    if not text.isascii() or not text.isdigit() or not SHORTEST_DAYS <= int(text) <= LONGEST_DAYS:
        raise click.UsageError(
            f"--days is a number from {SHORTEST_DAYS} to {LONGEST_DAYS}, or {FOREVER}, or {LIKE_OTHERS}."
        )
    return int(text)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield _line(found["default"])
    yield from map(_line, found["projects"])
    if found["cut_before"]:
        yield f"Calls from before {found['cut_before']} were deleted to stay below the disk cap."
    if found["cap"]:
        yield f"The store takes {gigabytes(found['cap']['bytes'])}; its cap is {gigabytes(found['cap']['max_bytes'])}."
    run = found["last_run"]
    if run:
        yield _run(run)


def _line(one: Mapping[str, Any]) -> str:
    whose = "default" if one["project"] == "*" else one["project"]
    how_long = "for ever" if one["days"] is None else f"{one['days']} days"
    since = f"  (from {one['earliest']} on)" if one["earliest"] else ""
    return printable_line(f"{whose}: {how_long}{since}")


def _run(run: Mapping[str, Any]) -> str:
    end = f"ended {run['finished_at']}" if run["finished_at"] else "has not ended"
    line = f"Last deletion: began {run['begun_at']}, {end}; {run['rows']} rows, {run['blobs']} blobs."
    return printable_line(f"{line} {run['error']}" if run["error"] else line)
