"""The options with which a command names the product that it means, and the product itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import rich_click as click

from deploy.admin_client import Address, AdminClient, Wanted, address, admin_client
from deploy.commands.context import data_option, folder, values

Where = Callable[[], Address | None]
"""Where the product answers; None when it is not running. Raises `Failed` when that is unclear."""

Command = TypeVar("Command", bound=Callable[..., object])


def product_options(command: Command) -> Command:
    """`--url`, `--key` and `--data`: parameters `url`, `key` and `data` of the command, which needs an admin."""
    return _options("admin", command)


def reading_options(command: Command) -> Command:
    """The same, of a command that reads logged calls."""
    return _options("query", command)


def _options(scope: str, command: Command) -> Command:
    key = click.option("--key", help=f"A key with the scope {scope} (default: LLMLEDGER_API_KEY).")
    url = click.option("--url", help="Where LLM Ledger answers (default: LLMLEDGER_URL, else what runs here).")
    return url(key(data_option(command)))


def running(url: str | None, key: str | None, data: Path | None) -> Where:
    """Says, each time anew, where the product answers that these options and the settings mean."""
    return partial(address, Wanted(url, key, data), values(), folder(data))


@contextmanager
def product(url: str | None, key: str | None, data: Path | None) -> Iterator[AdminClient]:
    """The product that these options and the settings mean. Raises `Failed`."""
    with admin_client(Wanted(url, key, data), values(), folder(data)) as client:
        yield client
