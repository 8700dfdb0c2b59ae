"""`llmledger tail`: calls as they become readable, until Ctrl-C. A broken connection is taken up where it ended."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import rich_click as click

from deploy.admin_client import Address
from deploy.commands.calls_text import json_line, line
from deploy.commands.context import Failed, tell
from deploy.commands.printable import printable_line
from deploy.commands.reaching import Where, reading_options, running
from deploy.commands.search import point_at
from deploy.event_source import Event, events_of

PATH = "/api/v1/requests/tail"
AGAIN_SECONDS = 2.0
INTERRUPTED = 130

_TIMEOUT = httpx.Timeout(10.0, read=30.0)  # something comes every few seconds, if only that nothing has come
_ODD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)  # what other shapes of an event lead to
_PASSING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}


class Broken(Exception):
    """The stream has ended for a reason that may pass."""


@click.command()
@click.argument("query", required=False, default="")
@click.option("--from", "since", help="Begin with the calls since then, a day back at most, like now-10m.")
@click.option("--rate", type=click.IntRange(1, 500), default=50, show_default=True, help="Calls per second at most.")
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print each call as one line of JSON.")
def tail(query: str, since: str | None, rate: int, as_json: bool, **target: Any) -> None:
    """Follow the calls that fulfil a query as they come, until Ctrl-C.

    \b
    llmledger tail
    llmledger tail "status:>=400" --from now-10m
    """
    wanted = {"q": query, "rate": str(rate), **({"from": since} if since else {})}
    where = running(**target)
    if where() is None:
        raise Failed("Nothing runs that could be followed. Start llmledger, or name what runs with --url and --key.")
    try:
        _follow(_Stream(wanted, as_json), where)
    except Failed as error:
        point_at(error, query)
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@dataclass(slots=True)
class _Stream:
    """What is followed, and how far it was read."""

    wanted: dict[str, str]
    as_json: bool
    last_id: str | None = None
    begun: bool = False

    def read(self, there: Address) -> None:
        """Print what comes. Raises `Broken` when it has ended, `Failed` when it cannot go on."""
        with there.open() as client, self._answer(client, there.url) as answer:
            try:
                for event in events_of(answer.iter_raw()):
                    self._show(event, there.url)
                    self.last_id = _sendable(event.id) or self.last_id
            except _ODD as error:
                said = printable_line(f"{type(error).__name__}: {error}")
                raise Failed(f"{there.url} sent what is no event of a tail ({said}). Is it an LLM Ledger?") from error
        raise Broken("the other side has ended the stream")

    @contextmanager
    def _answer(self, client: httpx.Client, url: str) -> Iterator[httpx.Response]:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        try:
            with client.stream("GET", PATH, params=self.wanted, headers=headers, timeout=_TIMEOUT) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer, url)
                yield answer
        except httpx.InvalidURL as error:
            raise Failed(f"{url} is not an address: {error}.") from error
        except httpx.RequestError as error:
            raise Broken(f"{url} did not answer ({type(error).__name__})") from error

    def _show(self, event: Event, url: str) -> None:
        data = json.loads(event.data) if event.data else {}
        if event.name == "request":
            click.echo(json_line(data) if self.as_json else line(data))
        elif event.name == "ready":
            tell(f"Connected to {url} again." if self.begun else f"Following {url}. Ctrl-C to stop.")
            self.begun = True
        elif event.name == "skipped":
            count = "An unknown number of" if data["count"] is None else data["count"]
            between = f"between {data['from']} and {data['to']}"
            tell(printable_line(f"{count} calls were left out, made {between}: see llmledger search."))
        elif event.name == "waiting":
            tell("The store is away: waiting for it.")
        elif event.name == "error":
            raise Failed(f"{url} has ended the stream: {printable_line(str(data['error']))}")


def _sendable(id_: str | None) -> str | None:
    """An event's id as a header can carry it. Raises `ValueError` for any other."""
    if id_ is not None and not (id_.isascii() and id_.isprintable()):
        raise ValueError(f"an event's id is {id_!r}")
    return id_


def _follow(stream: _Stream, where: Where) -> None:
    """Without end. What cannot be reached at first is a failure; what was reached is waited for."""
    while True:
        there = _found(where)
        try:
            if there is not None:
                stream.read(there)
        except Broken as broken:
            if not stream.begun:
                raise Failed(f"{broken}.") from broken
            tell(f"Disconnected ({broken}). Trying to go on where it ended.")
        time.sleep(AGAIN_SECONDS)


def _found(where: Where) -> Address | None:
    """Where it answers by now: another start has another address and another token."""
    try:
        return where()
    except Failed:
        return None  # it is just starting: asked again in a moment


def _refusal(answer: httpx.Response, url: str) -> Exception:
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = "it did not say why"
    text = f"{url} answered {answer.status_code}: {printable_line(str(said))}"
    return Broken(text) if answer.status_code in _PASSING else Failed(text)
