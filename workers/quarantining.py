"""Rejected deliveries → dead letters, under a ceiling: a bad deploy must not move the whole stream there.

One project that sends rubbish is dead-lettered and stops nobody. When the share is high, or the run is long, and it
comes from several projects or from every kind of report, the fault is ours: the worker stops, the backlog is kept.
"""

import logging
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from ledger.bus import Delivery, Position
from ledger.errors import LedgerError
from workers.decoding import Rejected

_KIND = re.compile(rb'"kind":"([a-z.-]{1,40})"')

log = logging.getLogger(__name__)


@runtime_checkable
class Quarantine(Protocol):
    """Keeps what could not become a row."""

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Durable on return. The same delivery may be put again after a crash."""


class TooManyDeadLetters(LedgerError):
    """So many records would be dead-lettered that the fault must be in this program."""


class _Seen(NamedTuple):
    """What tells whose record it was: read only when it is asked for, as nearly none is dead."""

    key: bytes | None
    envelope: bytes | None
    dead: bool

    @property
    def project(self) -> str:
        """Records without a key count as one project of their own."""
        return (self.key or b"").partition(b"/")[0].decode(errors="replace")

    @property
    def kind(self) -> str:
        """The kind that the envelope names; it is not decoded again for this, and need not be readable."""
        found = _KIND.search(self.envelope or b"")
        return found.group(1).decode() if found else ""


@dataclass(slots=True)
class _Run:
    """Dead letters of one partition with no good record between them."""

    count: int = 0
    projects: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def add(self, seen: _Seen) -> None:
        """One more."""
        self.count += 1
        self.projects.add(seen.project)
        self.kinds.add(seen.kind)


@dataclass(slots=True)
class Ceiling:
    """Looks at the last `window` records, and at the runs of dead letters on each partition.

    At most `max_share` of the window may be rejected, once it has `min_sample` records, and `max_run` in a row; more
    are let through when they are one project's, and not of every kind. The first `accepted` ones are not looked at.
    """

    window: int = 1000
    min_sample: int = 200
    max_share: float = 0.05
    max_run: int = 50
    accepted: int = 0
    _seen: deque[_Seen] = field(default_factory=deque)
    _runs: dict[int, _Run] = field(default_factory=dict)
    _warned_of: str | None = None
    _before: tuple[int, deque[_Seen], dict[int, _Run]] = field(default_factory=lambda: (0, deque(), {}))

    def check(self, part: Sequence[Delivery], rejected: Sequence[Rejected]) -> None:
        """Count these deliveries, in their order. Raises `TooManyDeadLetters`, before any of them is put away."""
        runs = {partition: _Run(run.count, {*run.projects}, {*run.kinds}) for partition, run in self._runs.items()}
        self._before = self.accepted, deque(self._seen), runs
        reasons = {item.delivery.read_at: item for item in rejected}
        for at, delivery in enumerate(part, 1):
            dead = bool(reasons) and delivery.read_at in reasons
            if dead and self.accepted > 0:
                self.accepted -= 1
                continue
            run = self._count(delivery, dead)
            if run.count > self.max_run and self._is_ours(run.projects, run.kinds):
                raise TooManyDeadLetters(
                    _text(f"{run.count} in a row on partition {delivery.read_at.partition}", reasons)
                )
            if at % _LOOK_EVERY == 0 or at == len(part):
                self._check_share(reasons)

    def check_again(self, part: Sequence[Delivery], rejected: Sequence[Rejected]) -> None:
        """The same deliveries as at the last check, of which more turned out to be rejected."""
        self.accepted, self._seen, self._runs = self._before
        self.check(part, rejected)

    def _count(self, delivery: Delivery, dead: bool) -> _Run:
        seen = _Seen(delivery.key, delivery.envelope, dead)
        self._seen.append(seen)
        if len(self._seen) > self.window:
            self._seen.popleft()
        run = self._runs.setdefault(delivery.read_at.partition, _Run())
        if dead:
            run.add(seen)
        elif run.count:
            run = self._runs[delivery.read_at.partition] = _Run()
        return run

    def _check_share(self, reasons: dict[Position, Rejected]) -> None:
        dead = [seen for seen in self._seen if seen.dead]
        if len(self._seen) < self.min_sample or len(dead) <= self.max_share * len(self._seen):
            self._warned_of = None
            return
        if self._is_ours({seen.project for seen in dead}, {seen.kind for seen in dead}):
            raise TooManyDeadLetters(_text(f"{len(dead)} of the last {len(self._seen)} records", reasons))
        if self._warned_of != dead[0].project:
            self._warned_of = dead[0].project
            log.warning(
                "One project's records are dead-lettered in numbers.",
                extra={"action": "dead_letters_of_one_project", "project": self._warned_of, "of_last": len(dead)},
            )

    def _is_ours(self, projects: set[str], kinds: set[str]) -> bool:
        """Whether such dead letters tell of a fault of this program, and not of one sender's."""
        return len(projects) > 1 or (len(kinds) > 1 and kinds == {seen.kind for seen in self._seen})


_LOOK_EVERY = 100


def _text(what: str, reasons: dict[Position, Rejected]) -> str:
    codes = ", ".join(
        f"{code} {count}" for code, count in Counter(item.code.value for item in reasons.values()).items()
    )
    first = min(reasons, default=None)
    begin = f" (the first of them at {first.text})" if first else ""
    return (
        f"{what} would be dead-lettered, of several projects or of every kind of report: {codes}{begin}. That is rather"
        " a fault of this version than of the senders, so the work stops and the backlog waits. Compare with"
        " `llmledger dlq list` and the log, then start a version without the fault; or, when these are known to be bad,"
        f" let as many pass with --accept-dead-letters {len(reasons)}."
    )
