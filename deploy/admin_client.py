"""How a command reaches the product: what runs is asked over HTTP, what does not run is opened here and asked the same.

There is one way to do each thing, the endpoints of the query service. Where nothing answers HTTP, the same
service is called inside of this process, over the cluster's store and Kafka, or over a data folder that nobody uses.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from deploy.commands.context import Failed
from deploy.commands.printable import printable_line
from deploy.data_folder import DataFolder
from deploy.query_in_process import Answered, over_cluster, over_folder
from ledger.settings import variable_name

Parameters = Mapping[str, str | int | float | bool]

_TIMEOUT = httpx.Timeout(10.0, read=300.0)
_STORE_VARIABLE = variable_name("STORE", "dsn")


class NotNow(Failed):
    """The product says that it may be asked again."""


class AdminClient(Protocol):
    """The product, as a command talks to it."""

    @property
    def place(self) -> str:
        """What is reached, in words."""

    def request(self, method: str, path: str, *, params: Parameters | None = None, body: object = None) -> Any:
        """The answer's JSON. Raises `Failed` with what the product said."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line said of where the product is; None where nothing was said."""

    url: str | None = None
    key: str | None = None
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a product answers HTTP, and the key for it."""

    url: str
    key: str = field(repr=False)
    trust_env: bool = True  # whether the environment's proxies may see the key

    @contextmanager
    def open(self) -> Iterator[httpx.Client]:
        """A client that asks there with this key. Raises `Failed` for what is no address."""
        try:
            here = urlsplit(self.url).hostname in {"localhost", "127.0.0.1", "::1"}
            base = httpx.URL(self.url)
        except (ValueError, httpx.InvalidURL) as error:
            raise Failed(f"{self.url} is not an address: {error}. Write it like http://127.0.0.1:8000.") from None
        if base.scheme not in {"http", "https"} or not base.host:
            raise Failed(f"{self.url} is not an address. Write it like http://127.0.0.1:8000.")
        headers = {"Authorization": f"Bearer {self.key}"}
        trust_env = self.trust_env and not here
        with httpx.Client(base_url=base, headers=headers, timeout=_TIMEOUT, trust_env=trust_env) as client:
            yield client


def address(wanted: Wanted, given: Mapping[str, str], folder: DataFolder) -> Address | None:
    """Where the product that is meant answers; None when it is not running. Raises `Failed` when that is unclear."""
    url = wanted.url or (None if wanted.data else given.get("LLMLEDGER_URL"))
    if url:
        return Address(url, _key_for(url, wanted.key or given.get("LLMLEDGER_API_KEY")))
    if folder.is_in_use():
        return Address(*_running_on(folder), trust_env=False)
    return None


@contextmanager
def admin_client(wanted: Wanted, given: Mapping[str, str], folder: DataFolder) -> Iterator[AdminClient]:
    """The product that is meant: an address, else what runs on the data folder, else the cluster's store, else the
    folder itself.

    `given` are the settings. A data folder that was named on the command line is meant, whatever the settings say.
    Raises `Failed` when there is nothing to reach.
    """
    there = address(wanted, given, folder)
    if there is not None:
        with there.open() as client:
            yield _Over(client, there.url)
    elif _STORE_VARIABLE in given and not wanted.data:
        with over_cluster(given) as answered:
            yield _Here(answered, "the cluster's store")
    elif folder.store.exists():
        with over_folder(folder, given) as answered:
            yield _Here(answered, f"the data folder {folder.root}, on which nothing runs")
    else:
        raise Failed(
            f"There is no LLM Ledger to reach: nothing is in {folder.root}. Name one with --url and --key, or --data."
        )


@dataclass(frozen=True, slots=True)
class _Over:
    """A product that answers at an address."""

    client: httpx.Client
    place: str

    def request(self, method: str, path: str, *, params: Parameters | None = None, body: object = None) -> Any:
        """As the role says."""
        try:
            answer = self.client.request(method, path, params=params, json=body)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise Failed(f"{self.place} did not answer ({type(error).__name__}: {error}). Does it run?") from error
        return _content(answer, self.place)


@dataclass(frozen=True, slots=True)
class _Here:
    """The query service inside of this process."""

    answered: Answered
    place: str

    def request(self, method: str, path: str, *, params: Parameters | None = None, body: object = None) -> Any:
        """As the role says."""
        return _content(self.answered(method, path, params, body), self.place)


def _content(answer: httpx.Response, place: str) -> Any:
    try:
        content = answer.json() if answer.content else None
    except ValueError:  # no JSON, or not even text
        raise Failed(f"{place} answered {answer.status_code} and no JSON. Is it an LLM Ledger?") from None
    if answer.is_success:
        return content
    said = content.get("error") if isinstance(content, dict) else None
    failure = NotNow if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE else Failed
    raise failure(f"{place} answered {answer.status_code}: {printable_line(str(said or 'it did not say why'))}")


def _key_for(url: str, key: str | None) -> str:
    if not key:
        raise Failed(f"There is no key for {url}. Give one with --key or LLMLEDGER_API_KEY.")
    return key


def _running_on(folder: DataFolder) -> tuple[str, str]:
    """Address and token of what runs on this folder."""
    try:
        content = json.loads(folder.run_file.read_bytes())
        return str(content["url"]), str(content["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(
            f"A process uses {folder.root}, but how to reach it cannot be read from {folder.run_file} ({error!r})."
            " If it is just starting, or another command is at work there, wait for it; else start llmledger anew."
        ) from None
