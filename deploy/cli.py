"""The `llmledger` command. Bare, it starts the standalone product.

Data go to stdout, messages to stderr. Exit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.
"""

import logging
import os
import sys
from pathlib import Path

import rich_click as click

from deploy.commands.context import Failed, accept_option, data_option, folder, tell, values
from deploy.commands.delete import delete, deletions
from deploy.commands.demo import demo
from deploy.commands.dlq import dlq
from deploy.commands.doctor import doctor
from deploy.commands.keys import keys
from deploy.commands.operations import config, migrate, topics, version
from deploy.commands.retention import retention
from deploy.commands.search import search
from deploy.commands.services import ingest_api, query_api, workers
from deploy.commands.tail import tail
from deploy.event_loop import run
from deploy.standalone import StandaloneOptions, run_standalone
from ledger.errors import BusBroken, LedgerError, Misconfigured
from ledger.failpoints import VARIABLE, arm
from ledger.settings import BatchSection, QueryCaps, RetentionSection, ServerSection, read_section
from ledger.telemetry import set_up_logging

log = logging.getLogger(__name__)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@data_option
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8000, or the next free one).")
@accept_option
@click.pass_context
def main(
    context: click.Context, data: Path | None, host: str | None, port: int | None, accept_dead_letters: int
) -> None:
    """LLM Ledger: a durable, exactly-once log and cost ledger for LLM calls.

    \b
    llmledger                          start the standalone product
    llmledger demo                     send it believable traffic
    llmledger keys create --project acme --scope ingest --scope query
    """
    set_up_logging("auto", "warning")
    _arm_failpoints(os.environ.get(VARIABLE, ""))
    if context.invoked_subcommand is None:
        _start_standalone(data, host, port, accept_dead_letters)


def _arm_failpoints(text: str) -> None:
    try:
        arm(text)
    except Misconfigured as error:
        raise Failed(str(error)) from error
    if text:
        log.warning("Failpoints are armed: this process is meant to fail.", extra={"failpoints": text})


def _start_standalone(data: Path | None, host: str | None, port: int | None, accept_dead_letters: int) -> None:
    given = values(SERVER__HOST=host, SERVER__PORT=None if port is None else str(port))
    try:
        set_up_logging(given.get("LLMLEDGER_LOG_FORMAT", "auto"), given.get("LLMLEDGER_LOG_LEVEL", "warning"))
        server = read_section(ServerSection, "SERVER", given)
        batch = read_section(BatchSection, "BATCH", given)
        caps = read_section(QueryCaps, "QUERY", given)
        retention_section = read_section(RetentionSection, "RETENTION", given)
        port_is_given = "LLMLEDGER_SERVER__PORT" in given
        options = StandaloneOptions(
            folder(data), server.host, server.port, port_is_given, batch, caps, accept_dead_letters, retention_section
        )
        run(run_standalone(options, say=click.echo))
    except Misconfigured as error:
        raise Failed(str(error)) from error
    except BusBroken as error:
        log.critical("Standalone has stopped.", extra={"error": str(error)})
        tell(f"Error: Stopped: {error}")
        sys.stderr.flush()
        os._exit(1)  # closing the log in good order would write to the file that failed
    except LedgerError as error:
        log.exception("Standalone has stopped.")
        raise Failed(f"Stopped: {error} Nothing that was accepted is lost; start it again.") from error
    except Exception as error:  # the edge of the process: said whole, then it ends
        log.exception("Standalone has stopped.")
        raise Failed(f"Stopped: {type(error).__name__}. Nothing that was accepted is lost.") from error
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the embedded engine can crash while the interpreter tears itself down


for command in (
    demo,
    search,
    tail,
    delete,
    deletions,
    dlq,
    ingest_api,
    workers,
    query_api,
    migrate,
    topics,
    keys,
    doctor,
    retention,
    config,
    version,
):
    main.add_command(command)
