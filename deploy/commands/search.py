"""`llmledger search`: the calls that fulfil a query, newest first."""

import re
from collections.abc import Mapping
from typing import Any

import rich_click as click
from rich.cells import cell_len

from deploy.admin_client import AdminClient
from deploy.commands.calls_text import json_line, table
from deploy.commands.context import Failed, tell
from deploy.commands.printable import printable_line
from deploy.commands.reaching import product, reading_options

PATH = "/api/v1/requests"
PAGE = 500
_PLACE = re.compile(r"\bq: character (\d+):")


@click.command()
@click.argument("query", required=False, default="")
@click.option("--from", "since", default="now-1d", show_default=True, help="Since then: ISO 8601, or like now-1h.")
@click.option("--to", "until", help="Before then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print each call as one line of JSON.")
def search(query: str, since: str, until: str | None, limit: int, as_json: bool, **target: Any) -> None:
    """List the calls that fulfil a query, newest first.

    \b
    llmledger search "status:>=400" --from now-7d
    llmledger search 'model:gpt-4* "refund policy"' --json
    """
    wanted = {"view": "full", "q": query, "from": since, **({"to": until} if until else {})}
    with product(**target) as llmledger:
        try:
            found, more = _found(llmledger, wanted, limit)
        except Failed as error:
            point_at(error, query)
            raise
    if as_json:
        for call in found:
            click.echo(json_line(call))
    elif found:
        table(found)
    else:
        tell(f"No calls were found since {since}. See --from.")
    if more:
        tell(f"There are more than these {limit}: see --limit.")


def point_at(error: Failed, query: str) -> None:
    """Show the character of the query that an answer complains about, if it names one."""
    place = _PLACE.search(error.message)
    if place is not None and query:
        before = printable_line(query[: int(place.group(1)) - 1])
        tell(f"{printable_line(query)}\n{' ' * cell_len(before)}^")


def _found(llmledger: AdminClient, wanted: Mapping[str, str], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The first `limit` of them, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < limit:
        params: dict[str, str | int] = {**wanted, "limit": min(PAGE, limit - len(found)), "cursor": cursor}
        page = llmledger.request("GET", PATH, params=params)
        found += page["data"]
        cursor = page["next_cursor"]
    return found, cursor is not None
