"""Many ids, several updates each, shuffled over the senders, retried, under kills and stops: every row is its fold.

Two updates of one id may be under way at once, through different senders; which of them counts is told by their
positions, not by when they were sent.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults import bodies
from tests.faults.bodies import Prepared
from tests.faults.late_retries import retry_late
from tests.faults.ledger_file import LedgerFile
from tests.faults.load import Load, LoadPlan
from tests.faults.oracle import judge
from tests.faults.runner import under_load
from tests.faults.scenario import PROJECTS, RunContext, RunReport, Scenario
from tests.faults.sent import Outcome, Sent
from tests.faults.standalone import PART, StandaloneTarget

_SENDERS = 6
_UPDATES = 5
_ATTEMPTS = 200
_RETRY_SECONDS = 0.2
_PATIENCE = 90.0
_SENT_TWICE = 0.1
_LATE_WINDOWS = ("B1", "B2.patches", "B3", "C4", "C5")


@dataclass(frozen=True, slots=True)
class _Work:
    """A request and its key."""

    project: str
    prepared: Prepared
    key: str


def _run(ids: int, context: RunContext) -> RunReport:
    target = StandaloneTarget(context.data)
    try:
        target.start()
        with LedgerFile(context.folder / "ledger.jsonl") as ledger:
            load = Load(target, ledger, context.seed, LoadPlan(senders=0))
            made = {one.tag: one for one in _all_sent(context, load, list(_creates(context, ids)))}
            updates = list(_updates(context, list(made.values())))
            context.random.shuffle(updates)
            _hurt_while(context, target, partial(_all_sent, context, load, updates))
            history = ledger.history()
        return RunReport(judge(history, target, patience=_PATIENCE), {"ids": ids, "updates": len(updates)})
    finally:
        target.close()


def _late(context: RunContext) -> RunReport:
    """The history that reveals patches which are written too late, on the product as it is."""
    target = StandaloneTarget(context.data, settings={"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "1"})

    def rounds(load: Load) -> None:
        for window in _LATE_WINDOWS:
            retry_late(context, target, load, window)

    try:
        target.start()
        return under_load(context, target, rounds, LoadPlan(senders=0), patience=_PATIENCE)
    finally:
        target.close()


def _creates(context: RunContext, ids: int) -> Iterator[_Work]:
    for number in range(ids):
        project = PROJECTS[number % len(PROJECTS)]
        tag = f"{project}-log-{context.seed}-{number}"
        yield _Work(project, bodies.report("log", tag, context.random), f"create-{tag}")


def _updates(context: RunContext, made: Sequence[Sent]) -> Iterator[_Work]:
    for one in made:
        for number in range(1, _UPDATES + 1):
            tag = f"{one.tag}-update-{number}"
            yield _Work(one.project, bodies.update(one.record_id or "", tag, number, context.random), f"key-{tag}")


def _all_sent(context: RunContext, load: Load, work: Sequence[_Work]) -> list[Sent]:
    """Send everything, from several senders; the last answers of all that was acknowledged."""
    sent: list[Sent] = []
    errors: list[BaseException] = []

    def send(mine: Sequence[_Work], twice: Sequence[bool]) -> None:
        try:
            sent.extend(_sent_by_one(load, mine, twice))
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    threads = []
    for number in range(_SENDERS):
        mine = work[number::_SENDERS]
        twice = [context.random.random() < _SENT_TWICE for _ in mine]
        threads.append(threading.Thread(target=send, args=(mine, twice), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sent


def _sent_by_one(load: Load, work: Sequence[_Work], twice: Sequence[bool]) -> Iterator[Sent]:
    clients = {project: load.client(project) for project in PROJECTS}
    try:
        for one, again in zip(work, twice, strict=True):
            for _ in range(1 + again):
                yield from _until_known(lambda one=one: load.attempt(clients[one.project], one.prepared, one.key))  # type: ignore[misc]
    finally:
        for client in clients.values():
            client.close()


def _until_known(attempt: Callable[[], Sent]) -> Iterator[Sent]:
    for _ in range(_ATTEMPTS):
        sent = attempt()
        if sent.outcome is not Outcome.UNKNOWN:
            if sent.outcome is Outcome.ACK:
                yield sent
            return
        threading.Event().wait(_RETRY_SECONDS)


def _hurt_while(context: RunContext, target: StandaloneTarget, work: Callable[[], object]) -> None:
    """Kill and stop the product in turns until the work is done."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    worker = threading.Thread(target=guarded, daemon=True)
    worker.start()
    turn = 0
    while True:
        worker.join(context.random.uniform(0.2, 2.5))
        if not worker.is_alive():
            break
        number = (signal.SIGKILL, signal.SIGTERM)[turn % 2]
        target.signal(PART, number)
        target.wait_ended(PART, 60.0)
        context.fault(number.name)
        target.restart(PART)
        turn += 1
    if errors:
        raise errors[0]


SCENARIOS = (
    Scenario(
        "updates-shuffled", "10,000 ids, 5 updates each, shuffled, with kills", 5, 0, False, partial(_run, 10_000)
    ),
    Scenario("updates-sent-again-late", "updates again after later ones, with crashes between", 3, 0, False, _late),
    Scenario(
        "updates-shuffled-small", "400 ids, 5 updates each, shuffled, with kills", 2, 1, False, partial(_run, 400)
    ),
)
