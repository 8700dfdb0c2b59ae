"""One read of the store as a value, and asking it so that it ends when nobody waits for the answer any more.

Every question begins with a comment of its own. By that it is found among the statements that run, on a server and in
the embedded engine, which gives its statements names that nobody is told.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

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

END_AGAIN_SECONDS = 0.5
"""Between two attempts to end a statement: the first may come before the engine has heard of it."""

_END = "KILL QUERY WHERE startsWith(query, {tag:String}) ASYNC"


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
            raise
        return Answer(found, time.monotonic() - started, left_out)


def allowed(settings: Mapping[str, object], client: Client) -> tuple[dict[str, object], tuple[str, ...]]:
    """Those that this user may change, and the names of the others, for which its profile counts.

    A user of a server that is read-only already stays as it is: to `readonly` itself nothing is added then.
    """
    known = client.server_settings
    fixed = {name for name in settings if name in known and known[name].readonly}
    given = {name: value for name, value in settings.items() if name not in fixed}
    if "readonly" in known and known["readonly"].value != "0":
        given.pop("readonly", None)
    return given, tuple(sorted(fixed - {"readonly"}))


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
