"""Updates that are sent again under their keys after later updates: they change nothing, whatever crashed in between.

What makes a late retry harmless is the patch of its first acceptance. A worker that records its progress before that
patch is kept shows the older value for good after a crash, and nothing heals it: nothing is read again.
"""

import signal
import time
from collections.abc import Iterator, Sequence

from tests.faults import bodies
from tests.faults.bodies import Prepared
from tests.faults.client import Client
from tests.faults.load import Load
from tests.faults.reading import ApiReader
from tests.faults.scenario import PROJECTS, RunContext
from tests.faults.sent import Outcome, Sent
from tests.faults.standalone import PART, StandaloneTarget

_RECORDS = 12
_SECONDS = 30.0
_PAUSE_SECONDS = 0.05

Update = tuple[Prepared, str]
"""And its idempotency key."""


def retry_late(context: RunContext, target: StandaloneTarget, load: Load, window: str) -> None:
    """Records, an update of each that ends the product at this window, then another one, then the first again."""
    client = load.client(PROJECTS[0])
    round_ = f"{context.seed}-{len(context.faults)}"
    try:
        ids = _made(context, load, client, round_)
        _await_shown(target, client.project, ids)
        target.stop()  # in good order: nothing but the updates is left to be read
        target.restart(PART, f"{window}:kill@1")
        first = list(_updates(context, ids, 1, round_))
        sent = [load.attempt(client, *update) for update in first]
        code = target.wait_ended(PART, _SECONDS)
        if code != -signal.SIGKILL:
            raise RuntimeError(f"exit {code} before {window}\n{target.messages()[-2000:]}")
        context.fault(f"{window}, {sum(one.outcome is Outcome.ACK for one in sent)} updates acknowledged before")
        target.restart(PART)
        again = [update for update, one in zip(first, sent, strict=True) if one.outcome is not Outcome.ACK]
        for update in (*again, *_updates(context, ids, 2, round_), *first):
            _accepted(load, client, update)
    finally:
        client.close()


def _made(context: RunContext, load: Load, client: Client, round_: str) -> list[str]:
    tags = [f"{client.project}-log-{round_}-{number}" for number in range(_RECORDS)]
    made = [_accepted(load, client, (bodies.report("log", tag, context.random), f"create-{tag}")) for tag in tags]
    return [one.record_id or "" for one in made]


def _updates(context: RunContext, ids: Sequence[str], number: int, round_: str) -> Iterator[Update]:
    for place, record_id in enumerate(ids):
        tag = f"update-{round_}-{place}-{number}"
        yield bodies.update(record_id, tag, number, context.random), f"key-{tag}"


def _accepted(load: Load, client: Client, update: Update) -> Sent:
    """The acknowledged attempt. Raises when there is none."""
    give_up_at = time.monotonic() + _SECONDS
    while (sent := load.attempt(client, *update)).outcome is not Outcome.ACK:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{sent.tag} was not accepted within {_SECONDS:.0f} s.")
        time.sleep(_PAUSE_SECONDS)
    return sent


def _await_shown(target: StandaloneTarget, project: str, ids: Sequence[str]) -> None:
    reader, give_up_at = ApiReader(target), time.monotonic() + _SECONDS
    for record_id in ids:
        while not reader.shows(project, record_id):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{record_id} is not shown after {_SECONDS:.0f} s.")
            time.sleep(_PAUSE_SECONDS)
