"""What every command shares: the configuration, where messages go, how an error ends the process."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from deploy.configuration import Configuration, data_folder, load, texts, warnings
from deploy.data_folder import DataFolder
from ledger.errors import LedgerError


class Failed(click.ClickException):
    """Ends the command with exit code 1: what, why, what to do."""

    exit_code = 1


def configuration() -> Configuration:
    """Everything that was set, with a warning on stderr for each name that nothing reads."""
    found = _loaded()
    for line in warnings(found):
        tell(f"Warning: {line}")
    return found


def values(**flags: str | None) -> dict[str, str]:
    """The settings as texts; a flag that was given wins."""
    return texts(configuration(), **flags)


def folder(data: Path | None) -> DataFolder:
    """The standalone's data folder: the flag, else the settings, else the user's own."""
    return DataFolder(data.expanduser() if data else data_folder(os.environ, _loaded()))


def _loaded() -> Configuration:
    try:
        return load(os.environ, Path.cwd())
    except LedgerError as error:
        raise Failed(str(error)) from error


def tell(message: str) -> None:
    """A message for people: stderr, so that stdout stays data."""
    click.echo(message, err=True)


def show(data: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Data for stdout: JSON when asked, else text."""
    click.echo(json.dumps(data, ensure_ascii=False) if as_json else text())


data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder of the standalone product."
)
accept_option = click.option(
    "--accept-dead-letters",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Let N records go to the dead letters, however many they are of those that are read.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
