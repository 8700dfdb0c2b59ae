"""`llmledger demo`: believable traffic for a running LLM Ledger, so that there is something to look at."""

import asyncio
import secrets
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import rich_click as click

from deploy.commands.context import Failed, data_option, folder, json_option, show, tell, values
from deploy.demo.running import Plan, Summary, run_demo
from deploy.demo.target import Wishes
from deploy.signals import INTERRUPTED
from ledger.errors import LedgerError

_SEEDS = 2**32


@click.command()
@click.option("--count", type=click.IntRange(0), default=300, show_default=True, help="Calls; 0: until Ctrl-C.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True, help="Calls per second."
)
@click.option(
    "--hours",
    type=click.FloatRange(0, 24 * 365),
    default=3.0,
    show_default=True,
    help="Made in the last so many hours.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same traffic.")
@click.option("--url", help="Where LLM Ledger answers (default: LLMLEDGER_URL, else what runs on the data folder).")
@click.option("--key", help="A key with the scope ingest (default: LLMLEDGER_API_KEY, else a temporary one).")
@click.option("--project", help="The key's project (default: default).")
@data_option
@json_option
def demo(
    count: int,
    rate: float,
    hours: float,
    seed: int | None,
    data: Path | None,
    as_json: bool,
    **target: str | None,  # url, key and project
) -> None:
    """Send believable traffic through every report API.

    \b
    llmledger demo                          to the standalone that runs here
    llmledger demo --count 0 --rate 5       until Ctrl-C
    llmledger demo --url http://ledger:8000 --key llmledger_live_… --project acme
    """
    given = values(URL=target["url"], API_KEY=target["key"])
    wishes = Wishes(given.get("LLMLEDGER_URL"), given.get("LLMLEDGER_API_KEY"), target["project"])
    plan = Plan(rate, count or None, timedelta(hours=hours), secrets.randbelow(_SEEDS) if seed is None else seed)
    try:
        summary = asyncio.run(run_demo(plan, wishes, folder(data), tell))
    except (LedgerError, OSError) as error:
        raise Failed(str(error)) from error
    show(asdict(summary), as_json, lambda: _text(summary))
    if summary.interrupted:
        raise SystemExit(INTERRUPTED)


def _text(summary: Summary) -> str:
    by_api = ", ".join(f"{count} {api}" for api, count in summary.by_api.items())
    return (
        f"{summary.accepted} calls accepted in {summary.seconds:.1f} s ({by_api}); {summary.updates} updated,"
        f" {summary.repetitions} sends repeated. Seed {summary.seed}.\n"
        f"They are listed at {summary.url}/api/v1/requests, project {summary.project}."
    )
