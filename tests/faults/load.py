"""The load: several senders, every API that writes, two projects. Each sender knows the fate of a request before its
next one, as far as anyone can: an UNKNOWN outcome under an idempotency key is sent again until it is known.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.faults import bodies
from tests.faults.bodies import Prepared
from tests.faults.client import Client, Keyed
from tests.faults.ledger_file import LedgerFile
from tests.faults.scenario import PROJECTS, Target
from tests.faults.sent import DELETE, Dead, Outcome, Sent

_RETRY_SECONDS = (0.05, 0.4)  # between attempts: the first, the longest
_OWNED = 12  # log entries that a sender keeps updating
_DOOMED = 6  # reports that a sender will delete
_BATCH = (2, 12)  # reports in a batch: the fewest, the most


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is sent. Shares are between 0 and 1."""

    senders: int = 6
    per_second: float = 240.0  # of all senders together; less when the product is slower
    keyed: float = 0.75  # of the reports; updates are always keyed
    updates: float = 0.2
    media: float = 0.25  # of the log entries
    sent_twice: float = 0.03  # of the keyed ones, although the first attempt was acknowledged
    batches: float = 0.1  # of the turns: several reports in one request
    deletions: float = 0.0  # of the reports: deleted a little later, by id or by user
    by_user: float = 0.1  # of the deletions: each ends what is folded together, so that batches become small
    reused_keys: float = 0.0  # of the keyed ones: another body under the same key, which must be dead-lettered
    apis: tuple[str, ...] = (*bodies.REPORTS, "log")
    timeout: float = 10.0  # seconds without an answer: then the outcome is UNKNOWN
    give_up_after: float = 60.0  # seconds that a keyed request is tried again once the load has ended


@dataclass(slots=True)
class _Owned:
    """A log entry that its sender updates."""

    record_id: str
    project: str
    updates: int = 0


@dataclass(frozen=True, slots=True)
class _Doomed:
    """A report that its sender is going to delete."""

    record_id: str
    project: str
    prepared: Prepared
    key: str | None


class Load:
    """Sends from `start` until `stop`. What the senders raise is raised by `stop`."""

    def __init__(self, target: Target, ledger: LedgerFile, seed: int, plan: LoadPlan | None = None) -> None:
        self.plan = plan or LoadPlan()
        self._target = target
        self._ledger = ledger
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._gave_up_at = float("inf")
        self._errors: list[BaseException] = []
        self._senders = [_Sender(self, number, seed) for number in range(self.plan.senders)]
        self._threads = [threading.Thread(target=self._guarded, args=(one,), daemon=True) for one in self._senders]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing new, and return once every keyed outcome is known or was tried for long. The product runs."""
        self._gave_up_at = time.monotonic() + self.plan.give_up_after
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def abandon(self) -> None:
        """Send nothing any more: the product may be away for good."""
        self._gave_up_at = time.monotonic()
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def updated(self) -> Sequence[tuple[str, str]]:
        """(project, id) of log entries that are being updated at this moment."""
        return [(owned.project, owned.record_id) for one in self._senders for owned in list(one.owned)]

    def acknowledged(self) -> int:
        """How many attempts were acknowledged so far."""
        return sum(one.acknowledged for one in self._senders)

    def client(self, project: str) -> Client:
        """A connection of its own."""
        return Client(self._target.url, project, self._target.key(project), self.plan.timeout)

    def admin(self, project: str) -> Client:
        """A connection of its own, to delete records of this project."""
        return Client(self._target.url, project, self._target.admin_key(), self.plan.timeout)

    def attempt(self, client: Client, prepared: Prepared, key: str | None) -> Sent:
        """One attempt, on disk."""
        sent = client.send(next(self._numbers), prepared, key)
        self._ledger.write(sent)
        return sent

    def attempt_together(self, client: Client, batch: Sequence[Keyed]) -> list[Sent]:
        """One attempt of all these in one request, on disk."""
        together = client.send_together([next(self._numbers) for _ in batch], batch)
        for sent in together:
            self._ledger.write(sent)
        return together

    @property
    def stopping(self) -> bool:
        """Whether nothing new is to be sent."""
        return self._stopping.is_set()

    @property
    def has_given_up(self) -> bool:
        """Whether no request is to be tried again."""
        return self.stopping and time.monotonic() > self._gave_up_at

    def wait(self, seconds: float) -> None:
        """Sleep, or less when the load ends."""
        self._stopping.wait(seconds)

    def _guarded(self, sender: "_Sender") -> None:
        try:
            sender.run()
        except BaseException as error:  # noqa: BLE001  raised again by `stop`
            self._errors.append(error)
        finally:
            sender.close()


class _Sender:
    def __init__(self, load: Load, number: int, seed: int) -> None:
        self._load = load
        self._plan = load.plan
        self._name = f"{seed}-{number}"
        self._random = Random(f"{seed}/{number}")
        self._serial = itertools.count(1)
        self._clients: Mapping[str, Client] = {project: load.client(project) for project in PROJECTS}
        self._admins: Mapping[str, Client] = {project: load.admin(project) for project in PROJECTS}
        self._doomed: list[_Doomed] = []
        self.owned: list[_Owned] = []
        self.acknowledged = 0

    def run(self) -> None:
        """Send, at this sender's share of the rate, until the load ends."""
        for due in _beats(self._plan.senders / self._plan.per_second):
            if self._load.stopping:
                return
            self._load.wait(due - time.monotonic())
            self._turn()

    def close(self) -> None:
        """Let go of the connections."""
        for client in (*self._clients.values(), *self._admins.values()):
            client.close()

    def _turn(self) -> None:
        if len(self._doomed) > _DOOMED:
            self._delete(self._doomed.pop(self._random.randrange(_DOOMED + 1)))
        elif self.owned and self._random.random() < self._plan.updates:
            self._update(self._random.choice(self.owned))
        elif self._random.random() < self._plan.batches:
            self._batch()
        else:
            project = self._random.choice(PROJECTS)
            prepared, key = self._report(project)
            self._go_on(project, prepared, key, self._send(project, prepared, key))

    def _report(self, project: str) -> Keyed:
        random, plan = self._random, self._plan
        api = random.choice(plan.apis)
        prepared = bodies.report(api, self._tag(project, api), random, media=random.random() < plan.media)
        return prepared, self._key() if random.random() < plan.keyed else None

    def _batch(self) -> None:
        """Several reports in one request; those that are not known then are sent again one by one."""
        project = self._random.choice(PROJECTS)
        batch = [self._report(project) for _ in range(self._random.randint(*_BATCH))]
        for (prepared, key), sent in zip(
            batch, self._load.attempt_together(self._clients[project], batch), strict=True
        ):
            self.acknowledged += sent.outcome is Outcome.ACK
            again = key is not None and sent.outcome is Outcome.UNKNOWN
            self._go_on(project, prepared, key, self._send(project, prepared, key) if again else sent)

    def _go_on(self, project: str, prepared: Prepared, key: str | None, sent: Sent) -> None:
        """What may follow on a report that was acknowledged."""
        random, plan, api = self._random, self._plan, prepared.api
        if sent.outcome is not Outcome.ACK:
            return
        if key and random.random() < plan.sent_twice:
            self._send(project, prepared, key)
        if key and project == PROJECTS[0] and random.random() < plan.reused_keys:
            other = bodies.report(api, self._tag(project, api), random)
            self._send(project, replace(other, expects={**other.expects, "dead": Dead.MUST}), key)
        if plan.deletions and sent.record_id and random.random() < plan.deletions:
            self._doomed.append(_Doomed(sent.record_id, project, prepared, key))
        elif api == "log" and sent.record_id:
            self.owned = [*self.owned[-_OWNED + 1 :], _Owned(sent.record_id, project)]

    def _update(self, owned: _Owned) -> None:
        owned.updates += 1
        prepared = bodies.update(owned.record_id, self._tag(owned.project, "update"), owned.updates, self._random)
        if self._send(owned.project, prepared, self._key()).outcome is not Outcome.ACK:
            self.owned.remove(owned)  # its next update could overtake this one

    def _delete(self, doomed: _Doomed) -> None:
        """Between updates of it and a retry, none of which may bring it back. Nothing watches it meanwhile."""
        project, random = doomed.project, self._random
        user_id = doomed.prepared.tag if random.random() < self._plan.by_user else None
        deletion = bodies.deletion(doomed.record_id, self._tag(project, DELETE), project, user_id)
        updates = random.choice(((), (1,), (1, 2), (2,))) if doomed.prepared.api == "log" else ()
        for number in (1, 0, 2):
            if number == 0:
                self._send(project, deletion, self._key())
            elif number in updates:
                tag = self._tag(project, "update")
                self._send(project, bodies.update(doomed.record_id, tag, number, random), self._key())
        if doomed.key and random.random() < 0.5:
            self._send(project, doomed.prepared, doomed.key)

    def _send(self, project: str, prepared: Prepared, key: str | None) -> Sent:
        delays = itertools.chain(itertools.takewhile(lambda d: d < _RETRY_SECONDS[1], _doubling()), _longest())
        client = (self._admins if prepared.api == DELETE else self._clients)[project]
        while True:
            sent = self._load.attempt(client, prepared, key)
            self.acknowledged += sent.outcome is Outcome.ACK
            if sent.outcome is not Outcome.UNKNOWN:
                return sent
            time.sleep(next(delays))  # the product is away: there is nothing else to wait for
            if key is None or self._load.has_given_up:
                return sent

    def _tag(self, project: str, api: str) -> str:
        return f"{project}-{api}-{self._name}-{next(self._serial)}"

    def _key(self) -> str:
        return f"key-{self._name}-{next(self._serial)}"


def _beats(seconds: float) -> Iterator[float]:
    """When each turn is due. Turns that were missed are not made up for."""
    due = time.monotonic()
    while True:
        yield due
        due = max(due + seconds, time.monotonic())


def _doubling() -> Iterator[float]:
    delay = _RETRY_SECONDS[0]
    while True:
        yield delay
        delay *= 2


def _longest() -> Iterator[float]:
    return itertools.repeat(_RETRY_SECONDS[1])
