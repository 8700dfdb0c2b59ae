"""Poison in the middle of good traffic: every pill ends as one dead letter, and its neighbours do not notice.

The API refuses such bodies, so they are put on the bus itself, while the product stands still.
"""

import asyncio
import signal
import time
from collections.abc import Sequence

from ledger.bus import Record
from ledger.bus.sqlite_log import SqliteLog
from tests.faults.bodies import Prepared
from tests.faults.client import Client
from tests.faults.load import Load, LoadPlan
from tests.faults.pills import pills
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.sent import Dead, Outcome, Sent
from tests.faults.standalone import PART, StandaloneTarget

_PROJECT = "alpha"
_KEY = b"alpha/0190a0b0-0000-7000-8000-000000000001"
_PLAN = LoadPlan(per_second=150.0)
_TURNS = 3
_BINARY_HEADERS = (("\u2028 binary", bytes(range(256))), ("", b""), ("llmledger-accepted-at", b"\xff"))


class OnTheBus(Client):
    """Puts a pill straight on the log of a product that does not run."""

    def __init__(self, log: SqliteLog, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("http://127.0.0.1:1", _PROJECT, "", 1.0)
        self._log = log
        self._loop = loop

    def send(self, number: int, prepared: Prepared, key: str | None) -> Sent:
        """Published, and to become a dead letter."""
        envelope, body = pills()[prepared.tag.split("/")[0]]
        record = Record(_KEY, envelope, body, _BINARY_HEADERS if number % 2 else ())
        began = time.time()
        position = self._loop.run_until_complete(self._log.publish(record)).text
        expects = {"dead": Dead.MUST}
        return Sent(
            number, "openpipe", _PROJECT, prepared.tag, None, None, position, "", expects, began, Outcome.ACK, 200
        )


def _run(context: RunContext) -> RunReport:
    target = StandaloneTarget(context.data)
    try:
        target.start()
        return under_load(context, target, lambda load: _turns(context, target, load), _PLAN)
    finally:
        target.close()


def _turns(context: RunContext, target: StandaloneTarget, load: Load) -> None:
    names = sorted(pills())
    context.random.shuffle(names)
    for turn in range(_TURNS):
        load.wait(context.random.uniform(1.0, 2.0))
        target.signal(PART, signal.SIGTERM)
        code = target.wait_ended(PART, 60.0)
        if code != 0:
            raise RuntimeError(f"exit {code} after SIGTERM: the worker did not live\n{target.messages()[-2000:]}")
        _put(target, load, [f"{name}/{turn}" for name in names[turn::_TURNS]])
        context.fault(f"pills, turn {turn + 1}", len(names[turn::_TURNS]))
        target.restart(PART)
    load.wait(1.0)


def _put(target: StandaloneTarget, load: Load, tags: Sequence[str]) -> None:
    loop = asyncio.new_event_loop()
    log = SqliteLog(target.folder / "log.sqlite")
    client = OnTheBus(log, loop)
    try:
        for tag in tags:
            load.attempt(client, Prepared("openpipe", tag, b"", ""), None)
    finally:
        client.close()
        loop.run_until_complete(log.close())
        loop.close()


SCENARIOS = (Scenario("poison", f"{len(pills())} pills on the bus beside good reports", 3, 1, False, _run),)
