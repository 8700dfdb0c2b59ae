"""Where the traffic goes and with which key.

Without a key of its own the demo makes one in the key file of the standalone that runs on the data folder, and takes
it out of force again at the end, however the demo ends.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from deploy.data_folder import FIRST_PROJECT, DataFolder
from ledger.clock import Clock
from ledger.errors import Misconfigured
from ledger.key_file import edit
from ledger.keys import KeyFileContent, NewKey, Scope, with_new_key, without_key


@dataclass(frozen=True, slots=True)
class Target:
    """An LLM Ledger and a key that may write to the project."""

    url: str
    key: str = field(repr=False)
    project: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user said of the target; None where nothing was said."""

    url: str | None
    key: str | None
    project: str | None


@contextmanager
def chosen_target(wishes: Wishes, data: DataFolder, clock: Clock) -> Iterator[Target]:
    """The target that is wished for, else the standalone that runs on the folder. Raises `Misconfigured`."""
    url, project = _base(wishes.url or running_url(data)), wishes.project or FIRST_PROJECT
    if wishes.key:
        yield Target(url, wishes.key, project)
    elif wishes.url:
        raise Misconfigured(f"There is no key for {url}. Give one with --key or LLMLEDGER_API_KEY.")
    else:
        with temporary_key(data, project, clock) as key:
            yield Target(url, key, project)


def _base(url: str) -> str:
    """The address that paths are put behind. Raises `Misconfigured` when it is none."""
    try:
        is_one = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise Misconfigured(f"{url} is not an address. Write it like http://127.0.0.1:8000.")
    return url.rstrip("/")


def running_url(data: DataFolder) -> str:
    """The address of the standalone that runs on this folder. Raises `Misconfigured` when none does."""
    try:
        url = json.loads(data.run_file.read_bytes())["url"]
    except FileNotFoundError:
        raise Misconfigured(
            f"No LLM Ledger runs on {data.root}. Start it with llmledger, or name another one with --url and --key."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{data.run_file} cannot be read ({error!r}). Start llmledger anew.") from None
    return str(url)


@contextmanager
def temporary_key(data: DataFolder, project: str, clock: Clock) -> Iterator[str]:
    """A key that may only write to the project, in force until the end of the block."""
    made: list[NewKey] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        made.append(with_new_key(content, project, [Scope.INGEST], clock().isoformat(timespec="seconds")))
        return made[0].content

    edit(data.keys, add)
    try:
        yield made[0].key
    finally:
        edit(data.keys, lambda content: without_key(content, made[0].key_id))
