"""`llmledger ingest-api`, `workers`, `query-api`: one service of the cluster each."""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import rich_click as click

from deploy.commands.context import Failed, accept_option, values
from deploy.event_loop import run
from deploy.services import (
    ingest_settings,
    query_settings,
    run_ingest_api,
    run_query_api,
    run_workers,
    worker_settings,
)
from ledger.errors import LedgerError
from ledger.telemetry import set_up_logging

Settings = TypeVar("Settings")

host_option = click.option("--host", help="Address to listen on.")
port_option = click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")


@click.command(name="ingest-api")
@host_option
@port_option
def ingest_api(host: str | None, port: int | None) -> None:
    """Accept reports and publish them to Kafka."""
    _run(ingest_settings, run_ingest_api, host, port)


@click.command(name="query-api")
@host_option
@port_option
def query_api(host: str | None, port: int | None) -> None:
    """Serve what was logged, from ClickHouse."""
    _run(query_settings, run_query_api, host, port)


@click.command()
@host_option
@port_option
@click.option(
    "--resume-after-loss", is_flag=True, help="Where Kafka has lost unread records: say which, and go on behind them."
)
@accept_option
def workers(host: str | None, port: int | None, resume_after_loss: bool, accept_dead_letters: int) -> None:
    """Read Kafka, normalise, price and write to ClickHouse. The port serves health checks."""
    serve = partial(run_workers, resume_after_loss=resume_after_loss, accept_dead_letters=accept_dead_letters)
    _run(worker_settings, serve, host, port)


def _run(
    read: Callable[[Mapping[str, str]], Settings],
    serve: Callable[[Settings], Coroutine[Any, Any, None]],
    host: str | None,
    port: int | None,
) -> None:
    given = values(SERVER__HOST=host, SERVER__PORT=None if port is None else str(port))
    try:
        set_up_logging(given.get("LLMLEDGER_LOG_FORMAT", "auto"), given.get("LLMLEDGER_LOG_LEVEL", "info"))
        settings = read(given)
        run(serve(settings))
    except LedgerError as error:
        raise Failed(str(error)) from error
