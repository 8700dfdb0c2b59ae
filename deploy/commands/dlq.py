"""`llmledger dlq`: the records that could not become rows. What they are, one of them whole, and their replay."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar

import rich_click as click

from deploy.admin_client import AdminClient
from deploy.commands.context import Failed, json_option, show, tell
from deploy.commands.dlq_text import as_text, counts_text, table
from deploy.commands.reaching import product, product_options
from ledger.bus import Position

PATH = "/api/v1/admin/dead-letters"
REPLAYED_AT_A_TIME = 100
PAGE = 1000

Command = TypeVar("Command", bound=Callable[..., object])


def _conditions(command: Command) -> Command:
    """The options that say which dead letters are meant."""
    for option in (
        click.option("--since", help="Died since then: ISO 8601, or like now-1h."),
        click.option("--kind", help="Of this kind of event, such as log.update."),
        click.option("--reason", help="Dead for this reason, such as row_refused."),
        click.option("--project", help="Of this project."),
    ):
        command = option(command)
    return command


@click.group()
def dlq() -> None:
    """Look at dead letters and put them on the bus again.

    \b
    llmledger dlq list                                 those that wait, the latest first
    llmledger dlq show 1-0-42                          all that is kept of one
    llmledger dlq replay --reason row_refused --dry-run
    """


@dlq.command(name="list")
@_conditions
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@click.option("--all", "everything", is_flag=True, help="Also those that were replayed.")
@click.option("--counts", "only_counts", is_flag=True, help="Only how many there are, by project and reason.")
@product_options
@json_option
def list_(limit: int, everything: bool, only_counts: bool, as_json: bool, **options: Any) -> None:
    """List dead letters, the latest first."""
    with _product(options) as llmledger:
        if only_counts:
            counts = llmledger.request("GET", f"{PATH}/counts", params=_given({"project": options["project"]}))[
                "counts"
            ]
            show(counts, as_json, lambda: counts_text(counts))
            return
        wanted = _wanted(options) | ({} if everything else {"state": "waiting"})
        found, more = _listed(llmledger, wanted, limit)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        table(found)
    if more:
        tell(f"There are more than these {limit}: see --limit, or --counts.")


@dlq.command(name="show")
@click.argument("position")
@product_options
@json_option
def show_(position: str, as_json: bool, **options: Any) -> None:
    """Show all that is kept of one, byte for byte."""
    if Position.from_text(position) is None:
        raise click.UsageError(f"{position!r} is no position: they read like 1-0-42, see llmledger dlq list.")
    with _product(options) as llmledger:
        found = llmledger.request("GET", f"{PATH}/{position}")
    show(found, as_json, lambda: as_text(found))


@dlq.command()
@click.argument("position", required=False)
@_conditions
@click.option("--limit", type=click.IntRange(1), help="At most so many; all that are meant, if not given.")
@click.option(
    "--max-replays", type=click.IntRange(1, 1000), default=5, show_default=True, help="Leave those tried more."
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most so many per second.")
@click.option("--dry-run", is_flag=True, help="Only say which ones would be replayed.")
@click.option("--yes", is_flag=True, help="Do not ask, also when all are meant.")
@product_options
@json_option
def replay(position: str | None, limit: int | None, dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Put dead letters on the bus again, as they were. Safe to repeat: each stays the event that it is."""
    wanted = _wanted(options) | _given({"position": position})
    with _product(options) as llmledger:
        if not (wanted or dry_run or yes):
            _confirm(llmledger)
        request = {**wanted, **_given({"max_replays": options["max_replays"], "rate_per_second": options["rate"]})}
        result = _replayed(llmledger, request, limit, dry_run=dry_run)
        place = llmledger.place
    show(result, as_json, lambda: _summary(result, dry_run=dry_run))
    if result["replayed"] and place.endswith("nothing runs"):
        tell("Nothing runs here: they are read when llmledger is started.")


def _product(options: dict[str, Any]) -> AbstractContextManager[AdminClient]:
    return product(options["url"], options["key"], options["data"])


def _wanted(options: dict[str, Any]) -> dict[str, Any]:
    names = {"project": "project", "reason": "reason", "kind": "kind", "since": "from"}
    return _given({theirs: options[ours] for ours, theirs in names.items()})


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _listed(llmledger: AdminClient, wanted: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The first `limit` of them, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None and len(found) < limit:
        params = {**wanted, "limit": min(PAGE, limit - len(found)), "cursor": cursor}
        page = llmledger.request("GET", PATH, params=params)
        found += page["dead_letters"]
        cursor = page["next_cursor"]
    return found, cursor is not None


def _confirm(llmledger: AdminClient) -> None:
    counts = llmledger.request("GET", f"{PATH}/counts")["counts"]
    waiting = sum(item["waiting"] for item in counts)
    tell(counts_text(counts))
    try:
        sure = click.confirm(f"Replay all {waiting} that wait?", err=True)
    except click.Abort:
        sure = False
    if not sure:
        raise Failed(
            "Nothing was replayed. Say which ones with --project, --reason, --kind or --since, or --yes for all."
        )


def _replayed(llmledger: AdminClient, request: dict[str, Any], limit: int | None, *, dry_run: bool) -> dict[str, Any]:
    """One request after the other, until nothing is left to replay; what they did together."""
    together: dict[str, Any] = {"matched": None, "replayed": 0, "skipped": [], "positions": {}}
    most = PAGE if dry_run else _at_a_time(request.get("rate_per_second"))
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    while True:
        step = min(most, PAGE if limit is None else limit - together["replayed"])
        result = llmledger.request("POST", f"{PATH}/replay", body={**request, "limit": step, "dry_run": dry_run})
        if together["matched"] is None:
            together["matched"] = result["matched"]
        again = together["positions"].keys() & result["positions"].keys()
        together["replayed"] += result["replayed"]
        together["skipped"] = result["skipped"]  # they stay, so the last answer has them
        together["positions"] |= result["positions"]
        if dry_run or again or result["replayed"] < step or together["replayed"] == limit:
            return together
        request = {**request, "to": started}  # not those that have died again since


def _at_a_time(rate: float | None) -> int:
    """So many that one request takes no longer than a minute."""
    return REPLAYED_AT_A_TIME if rate is None else max(1, min(REPLAYED_AT_A_TIME, int(rate * 60)))


def _summary(result: dict[str, Any], *, dry_run: bool) -> str:
    done = f"Would replay {len(result['positions'])}" if dry_run else f"Replayed {result['replayed']}"
    lines = [f"{done} of {result['matched']} that wait."]
    lines += [f"{old}  → {new or '(dry run)'}" for old, new in result["positions"].items()]
    lines += [f"{item['position']}  left: {item['why']}" for item in result["skipped"]]
    return "\n".join(lines)
