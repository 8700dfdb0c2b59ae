"""`llmledger migrate`, `topics ensure`, `config show`, `version`: what an operator runs beside the services."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path

import rich_click as click
from clickhouse_connect.driver import Client

from deploy.commands.context import Failed, configuration, data_option, folder, json_option, show, tell, values
from deploy.data_folder import DataFolder
from ledger.bus.kafka_topics import ensure_topics
from ledger.errors import LedgerError, StoreUnavailable
from ledger.settings import SECRETS, KafkaSection, known_variables, read_section
from ledger.store.clickhouse import ClickHousePool
from ledger.store.migrations import Migration, Workflow, available, check, drive
from ledger.store.migrations import migrate as migration

RETRY_SECONDS = 1.0


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 while migrations are missing.")
@click.option(
    "--wait",
    "wait_seconds",
    type=float,
    default=0.0,
    help="Seconds to wait for the store (and with --check, for the schema).",
)
@data_option
def migrate(only_check: bool, wait_seconds: float, data: Path | None) -> None:
    """Bring the store's schema up to date. Safe to run again."""
    dsn = None if data else values().get("LLMLEDGER_STORE__DSN")
    pool = ClickHousePool(dsn or _store_of(folder(data), must_exist=only_check), threads=1)
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            missing = _migrated(pool, only_check, deadline)
            if not (only_check and missing):
                break
            if time.monotonic() >= deadline:
                raise Failed(f"Migrations are missing: {missing}. Run: llmledger migrate")
            time.sleep(RETRY_SECONDS)
    finally:
        pool.close()
    tell("The schema is up to date." if only_check or not missing else f"Applied migrations {missing}.")


def _store_of(data: DataFolder, *, must_exist: bool) -> str:
    """The DSN of a folder that no process runs on."""
    if must_exist and not data.store.exists():
        raise Failed(f"There is no store in {data.root} yet. Run: llmledger migrate")
    if data.is_in_use():
        raise Failed(f"A running llmledger uses {data.root} and keeps its schema up to date itself. Stop it first.")
    data.make()
    return data.store_dsn


def _migrated(pool: ClickHousePool, only_check: bool, deadline: float) -> list[int]:
    """The versions that are missing, or were applied; waits for the store until the deadline."""
    while True:
        try:
            plan = check if only_check else migration
            return pool.run_here(partial(_run, plan))
        except StoreUnavailable as error:
            if time.monotonic() >= deadline:
                raise Failed(f"{error} Is LLMLEDGER_STORE__DSN right, and does the store run?") from error
            time.sleep(RETRY_SECONDS)
        except LedgerError as error:
            raise Failed(str(error)) from error


def _run(plan: Callable[[list[Migration]], Workflow], client: Client) -> list[int]:
    return drive(plan(available()), client)


@click.group()
def topics() -> None:
    """The topics on Kafka."""


@topics.command()
@click.option("--wait", "wait_seconds", type=float, default=0.0, help="Seconds to wait for Kafka.")
def ensure(wait_seconds: float) -> None:
    """Make the topics that are missing, with their partitions and limits."""
    try:
        section = read_section(KafkaSection, "KAFKA", values())
        found = asyncio.run(ensure_topics(section, wait_seconds=wait_seconds))
    except LedgerError as error:
        raise Failed(str(error)) from error
    for topic in found:
        tell(f"{topic.name}: {topic.partitions} partitions, {'made' if topic.made else 'there already'}.")


@click.group()
def config() -> None:
    """The settings."""


@config.command(name="show")
@json_option
def config_show(as_json: bool) -> None:
    """Every setting that is set, where it came from, secrets masked; then the names that are not set."""
    found = configuration()
    rows = {
        name: {"value": "***" if name in SECRETS else value.text, "origin": value.origin}
        for name, value in sorted(found.items())
    }
    unset = sorted(known_variables() - found.keys())

    def text() -> str:
        lines = [f"{name}={row['value']}  ({row['origin']})" for name, row in rows.items()]
        return "\n".join([*lines, *(f"{name}  (default)" for name in unset)])

    show({"set": rows, "default": unset}, as_json, text)


@click.command()
@json_option
def version(as_json: bool) -> None:
    """The version of the program."""
    name = installed_version("llmledger")
    show({"name": "llmledger", "version": name}, as_json, lambda: f"llmledger {name}")
