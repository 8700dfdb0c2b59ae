"""One run of the demo from the first look at the target to its summary."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import httpx

from deploy.data_folder import DataFolder
from deploy.demo.progress import shown_progress
from deploy.demo.reports import reports
from deploy.demo.sending import AT_A_TIME, Patience, Sender, Tally, send_all
from deploy.demo.target import Target, Wishes, chosen_target
from deploy.signals import stop_on_signals
from ledger.clock import Clock, system_clock

_ANSWER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent. `count` None: until it is interrupted."""

    rate: float  # calls per second
    count: int | None
    span: timedelta  # before now, in which the calls were made
    seed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What was sent."""

    url: str
    project: str
    seed: int
    seconds: float
    accepted: int
    by_api: Mapping[str, int]
    updates: int
    repetitions: int
    interrupted: bool


async def run_demo(plan: Plan, wishes: Wishes, data: DataFolder, say: Callable[[str], None]) -> Summary:
    """Send what is planned, or until a signal. Raises `Misconfigured` or `NotAccepted`."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    started = asyncio.get_running_loop().time()
    with chosen_target(wishes, data, system_clock) as target:
        async with _client(target.url) as client:
            sender = Sender(client, target, f"demo-{secrets.token_hex(8)}", Patience())
            interrupted = await _until(stop, _checked_and_sent(sender, plan, say, system_clock))
    seconds = asyncio.get_running_loop().time() - started
    return _summary(target, plan, sender.tally, seconds, interrupted)


def _client(url: str) -> httpx.AsyncClient:
    """A client that goes through the environment's proxy, but never to this machine itself."""
    is_here = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    limits = httpx.Limits(max_connections=AT_A_TIME)
    return httpx.AsyncClient(timeout=_ANSWER_SECONDS, limits=limits, trust_env=not is_here)


async def _checked_and_sent(sender: Sender, plan: Plan, say: Callable[[str], None], clock: Clock) -> None:
    await sender.check()
    with shown_progress(sender.tally, plan.count, say):
        await send_all(sender, islice(reports(plan.seed, clock, plan.span), plan.count), plan.rate)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, unless it is stopped before its end: whether it was. Raises what the work raises."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    interrupted = not working.done()
    if interrupted:
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        await working
    return interrupted


def _summary(target: Target, plan: Plan, tally: Tally, seconds: float, interrupted: bool) -> Summary:
    return Summary(
        url=target.url,
        project=target.project,
        seed=plan.seed,
        seconds=round(seconds, 3),
        accepted=tally.accepted,
        by_api=dict(sorted(tally.calls.items())),
        updates=tally.updates,
        repetitions=tally.repetitions,
        interrupted=interrupted,
    )
