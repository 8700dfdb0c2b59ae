"""The options with which a command names the product that it means, and the product itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import rich_click as click

from deploy.admin_client import AdminClient, Wanted, admin_client
from deploy.commands.context import data_option, folder, values

Command = TypeVar("Command", bound=Callable[..., object])


def product_options(command: Command) -> Command:
    """`--url`, `--key` and `--data`: parameters `url`, `key` and `data` of the command."""
    key = click.option("--key", help="A key with the scope admin (default: LLMLEDGER_API_KEY).")
    url = click.option("--url", help="Where LLM Ledger answers (default: LLMLEDGER_URL, else what runs here).")
    return url(key(data_option(command)))


@contextmanager
def product(url: str | None, key: str | None, data: Path | None) -> Iterator[AdminClient]:
    """The product that these options and the settings mean. Raises `Failed`."""
    with admin_client(Wanted(url, key, data), values(), folder(data)) as client:
        yield client
