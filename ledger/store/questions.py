"""One read of the store as a value, and asking it so that it ends when nobody waits for the answer any more.

Every question begins with a comment of its own. By that it is found among the statements that run, on a server and in
the embedded engine, which gives its statements names that nobody is told.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from ledger.counted_log import CountedLog
from ledger.errors import LedgerError
from ledger.filtering.statements import Statement
from ledger.store.clickhouse import ClickHousePool

log = logging.getLogger(__name__)

TOO_LONG = frozenset({159, 160})
TOO_LARGE = frozenset({396})
PAST_A_CAP = TOO_LONG | TOO_LARGE | frozenset({158, 191, 241, 307})
"""Codes of time, result, rows, set, memory and bytes beyond a cap."""

OUT_OF_BOUNDS = 452
"""The code of a setting beyond what the server allows this user."""

END_AGAIN_SECONDS = 0.5
"""Between two attempts to end a statement: the first may come before the engine has heard of it."""

_END = "KILL QUERY WHERE startsWith(query, {tag:String}) ASYNC"


_MOST = "SELECT name, max FROM system.settings WHERE max IS NOT NULL"

_most_of: WeakKeyDictionary[Client, Mapping[str, Decimal]] = WeakKeyDictionary()
"""What the server told each client of these bounds. A client belongs to one thread."""


class PastACap(Exception):
    """The question was ended by one of its limits. Not an error by itself: whoever asks knows what to advise."""

    def __init__(self, code: int, seconds: float) -> None:
        super().__init__(code)
        self.code, self.seconds = code, seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found."""

    rows: Sequence[Sequence[Any]]
    seconds: float  # how long the thread was kept
    left_out: tuple[str, ...]  # settings that this user may not change


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that only reads, under these settings of the engine."""

    statement: Statement
    settings: Mapping[str, object]
    tag: str = field(default_factory=lambda: f"/* llmledger {uuid4().hex} */")

    def __call__(self, client: Client) -> Answer:
        """Ask. Raises `PastACap`, or what the driver raises."""
        started = time.monotonic()
        settings, left_out = allowed({**self.settings, "readonly": 1}, client)
        try:
            found = client.query(
                f"{self.tag} {self.statement.sql}", parameters=dict(self.statement.values), settings=settings
            ).result_rows
        except DatabaseError as error:
            if error.code in PAST_A_CAP:
                raise PastACap(error.code, time.monotonic() - started) from error
            if error.code == OUT_OF_BOUNDS:
                _most_of.pop(client, None)  # they were changed: the next question reads them again
            raise
        return Answer(found, time.monotonic() - started, left_out)


def allowed(settings: Mapping[str, object], client: Client) -> tuple[dict[str, object], tuple[str, ...]]:
    """Those that this user may change, and the names of the others, for which its profile counts.

    Where the server has a bound that is smaller than a number, the bound takes its place. A user of a server that is
    read-only already stays as it is: to `readonly` itself nothing is added then.
    """
    known = client.server_settings
    fixed = {name for name in settings if name in known and known[name].readonly}
    most = _bounds(client)
    given = {name: _within(value, most.get(name)) for name, value in settings.items() if name not in fixed}
    if "readonly" in known and known["readonly"].value != "0":
        given.pop("readonly", None)
    return given, tuple(sorted(fixed - {"readonly"}))


def _bounds(client: Client) -> Mapping[str, Decimal]:
    """The largest value that this user may give to each setting that has one."""
    found = _most_of.get(client)
    if found is None:
        told = client.query(_MOST).result_rows
        found = {name: number for name, text in told if (number := _number(text)) is not None}
        _most_of[client] = found
    return found


def _number(text: str) -> Decimal | None:
    """None for a bound that is no number: the engine judges by it."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _within(value: object, most: Decimal | None) -> object:
    if most is None or isinstance(value, bool) or not isinstance(value, int | float) or value <= most:
        return value
    return str(most)


class Asking:
    """A pool whose questions end in the engine when nobody waits for them any more."""

    def __init__(self, pool: ClickHousePool) -> None:
        self._pool = pool
        self._counted = CountedLog(log)

    async def run(self, question: Question) -> Answer:
        """The answer. Raises `PastACap` and what the pool raises.

        When this is cancelled it returns once the thread is free again: soon, if the engine can be told.
        """
        submitted = self._pool.submit(question)
        ended = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not submitted.cancel():
                await self._end(question, ended)
            raise

    async def _end(self, question: Question, ended: "asyncio.Future[Answer]") -> None:
        while not ended.done():
            await self._tell_the_engine(question)
            await asyncio.wait({ended}, timeout=END_AGAIN_SECONDS)
        outcome = "answered" if ended.cancelled() or ended.exception() is None else "ended"
        log.info("Nobody waited for a statement any more.", extra={"action": "statement_ended", "outcome": outcome})

    async def _tell_the_engine(self, question: Question) -> None:
        try:
            await self._pool.aside().run(lambda client: client.query(_END, parameters={"tag": question.tag}))
        except (LedgerError, RuntimeError) as error:  # the latter where the pool was closed meanwhile
            fields = {"action": "end_statement", "error": type(error).__name__}
            self._counted.warning("A statement that nobody waits for could not be ended; its time limit will.", fields)
