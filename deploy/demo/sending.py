"""Sends reports at a steady rate, some at a time, and loses none: what was not confirmed is sent again.

A repetition carries the `Idempotency-Key` of the first attempt, so that a call is stored once however often it is sent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from deploy.demo.reports import UPDATE_PATH, Report, update_of
from deploy.demo.target import Target
from ledger.errors import LedgerError

Sleep = Callable[[float], Awaitable[None]]

AT_A_TIME = 16
TRY_AGAIN = frozenset({429, 502, 503, 504})
"""Statuses that say that the same request may be accepted later."""


class NotAccepted(LedgerError):
    """The ledger did not accept a report."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried, and the seconds between, which double up to `longest`."""

    attempts: int = 12
    first: float = 0.2
    longest: float = 5.0

    def delay_after(self, attempt: int, asked: float = 0.0) -> float:
        """Seconds to wait after this attempt; `asked` is what the server wants, up to the longest."""
        return min(max(self.first * 2.0 ** (attempt - 1), asked), self.longest)


_NEW_KEY = Patience(attempts=30, longest=0.2)
"""A service reads the key file again within seconds."""


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    calls: Counter[str] = field(default_factory=Counter)  # accepted, by dialect
    updates: int = 0
    repetitions: int = 0

    @property
    def accepted(self) -> int:
        """The calls that the ledger has confirmed."""
        return self.calls.total()


@dataclass(frozen=True, slots=True)
class _Post:
    path: str
    body: bytes
    idempotency_key: str


class Sender:
    """Posts to one target. `run` tells this run's requests from those of any other."""

    def __init__(
        self, client: httpx.AsyncClient, target: Target, run: str, patience: Patience, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._client = client
        self._target = target
        self._run = run
        self._patience = patience
        self._sleep = sleep
        self._headers = _key_headers(target)
        self.tally = Tally()

    async def check(self) -> None:
        """Return once the target takes the key, without storing anything. Raises `NotAccepted`.

        A key that was made a moment ago may be refused at first.
        """
        question = _Post("/api/cache/v1/request/retrieve", b'{"request":{}}', f"{self._run}-check")
        for attempt in range(1, _NEW_KEY.attempts + 1):
            try:
                answer = await self._post(question)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise NotAccepted(_unreachable(self._target.url, error)) from None
            if answer.is_success:
                return
            if answer.status_code not in TRY_AGAIN | {401}:
                break
            await self._sleep(_NEW_KEY.delay_after(attempt))
        raise NotAccepted(_refused(self._target, answer))

    async def send(self, number: int, report: Report) -> None:
        """Return once the ledger has the report, and its update if there is one. Raises `NotAccepted`."""
        answer = await self._accepted(_Post(report.path, report.body, f"{self._run}-{number}"))
        self.tally.calls[report.dialect] += 1
        if report.changes is not None:
            update = update_of(answer.json()["id"], report.changes)
            await self._accepted(_Post(UPDATE_PATH, update, f"{self._run}-{number}-update"))
            self.tally.updates += 1

    async def _accepted(self, post: _Post) -> httpx.Response:
        attempt = 1
        while True:
            outcome = await self._outcome(post)
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            self._give_up_when_pointless(outcome, attempt)
            await self._sleep(self._patience.delay_after(attempt, _retry_after(outcome)))
            self.tally.repetitions += 1
            attempt += 1

    async def _outcome(self, post: _Post) -> httpx.Response | httpx.TransportError:
        try:
            return await self._post(post)
        except httpx.TransportError as error:
            return error

    async def _post(self, post: _Post) -> httpx.Response:
        headers = {**self._headers, "Idempotency-Key": post.idempotency_key}
        return await self._client.post(f"{self._target.url}{post.path}", content=post.body, headers=headers)

    def _give_up_when_pointless(self, outcome: httpx.Response | httpx.TransportError, attempt: int) -> None:
        last = attempt >= self._patience.attempts
        if isinstance(outcome, httpx.TransportError):
            if last:
                raise NotAccepted(_unreachable(self._target.url, outcome))
        elif last or outcome.status_code not in TRY_AGAIN:
            raise NotAccepted(_refused(self._target, outcome))


async def send_all(sender: Sender, reports: Iterator[Report], rate: float) -> None:
    """Send every report, the n-th not before n/rate seconds have passed. Raises the first `NotAccepted`."""
    loop = asyncio.get_running_loop()
    started, numbered = loop.time(), enumerate(reports)

    async def keep_sending() -> None:
        for number, report in numbered:
            await asyncio.sleep(started + number / rate - loop.time())
            await sender.send(number, report)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(keep_sending())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _key_headers(target: Target) -> Mapping[str, str]:
    """The key as every API expects it."""
    return {
        "authorization": f"Bearer {target.key}",
        "x-api-key": target.key,
        "x-pezzo-api-key": target.key,
        "x-pezzo-project-id": target.project,
        "content-type": "application/json",
    }


def _retry_after(outcome: httpx.Response | httpx.TransportError) -> float:
    if isinstance(outcome, httpx.TransportError):
        return 0.0
    seconds = outcome.headers.get("retry-after", "")
    return float(seconds) if seconds.isdigit() else 0.0


def _unreachable(url: str, error: Exception) -> str:
    return f"{url} does not answer ({type(error).__name__}). Is LLM Ledger running there? --url names another address."


def _refused(target: Target, answer: httpx.Response) -> str:
    said = f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code == 401:
        return (
            f"{target.url} refuses the key for the project {target.project}: {said}. --key needs one with the scope"
            " ingest, --project its project; llmledger keys list shows both."
        )
    if answer.status_code in TRY_AGAIN:
        return f"{target.url} is not accepting: {said}. Look at what it logs, then start the demo again."
    return f"{target.url} did not accept a report: {said}. Is it an LLM Ledger of this version?"
