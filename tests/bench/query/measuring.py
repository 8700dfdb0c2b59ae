"""One query, asked many times: ours and each way to the limit in turns, so that what disturbs one disturbs all."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tests.bench.query.commands import Plain
from tests.bench.query.process import Answer
from tests.bench.query.queries import Query, decoded

_WARM_UP = 2
_LEAST_RUNS = 3
_OK = 200


class Latencies(msgspec.Struct, frozen=True):
    """Of so many askings, in milliseconds."""

    p50: float
    p99: float
    count: int


class Measured(msgspec.Struct, frozen=True):
    """What was found out about one query."""

    name: str
    state: str
    target: float | None  # ratio to the limit
    allowance_ms: float
    ours: Latencies | None  # None: it was refused
    limit: Latencies
    limit_name: str
    trouble: str | None = None  # what was refused, or how the answer is wrong

    @property
    def ratio(self) -> float | None:
        """Ours by the limit, at p50."""
        return None if self.ours is None else self.ours.p50 / self.limit.p50

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.ours is not None and self.ours.p50 <= self.target * self.limit.p50 + self.allowance_ms


class Asking(Protocol):
    """A connection to the service."""

    def get(self, path: str) -> Answer:
        """Ask for this path."""

    def close(self) -> None:
        """Hang up."""


class UnderTest(Protocol):
    """The running service, and plain SQL beside it."""

    def connect(self) -> Asking:
        """A new connection."""

    def plain_ms(self, plain: Plain) -> float:
        """How many milliseconds this way takes."""

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of this statement."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and how long each query is asked."""

    runs: int
    seconds: float  # at most, for one query


class _Refused(Exception):
    """Not 200."""


def measured(
    service: UnderTest, query: Query, state: str, plan: Plan, before_each: Callable[[], None] | None = None
) -> Measured:
    """Ask, and compare the last answer with the true one. With `before_each` nothing is asked to warm up."""
    connection, taken = service.connect(), _Taken(query)
    try:
        if not before_each:
            _rounds(
                service, connection, query, Plan(min(_WARM_UP, plan.runs - 1), plan.seconds / 4), _Taken(query), None
            )
        _rounds(service, connection, query, plan, taken, before_each)
        trouble = _difference(service, query, connection)
    except _Refused as error:
        trouble = str(error)
    finally:
        connection.close()
    limit, name = taken.limit(service)
    ours = latencies(taken.ours) if taken.ours else None
    return Measured(query.name, state, query.target, query.allowance_ms, ours, limit, name, trouble)


class _Taken:
    """The times so far, in milliseconds."""

    def __init__(self, query: Query) -> None:
        self.ours: list[float] = []
        self.ways: dict[str, list[float]] = {way.name: [] for way in query.ways}
        self._query = query

    def limit(self, service: UnderTest) -> tuple[Latencies, str]:
        for way in self._query.ways:
            while len(self.ways[way.name]) < (1 if self.ours else _LEAST_RUNS):  # ours was refused
                self.ways[way.name].append(service.plain_ms(way))
        best = min(self.ways, key=lambda name: statistics.median(self.ways[name]))
        return latencies(self.ways[best]), best


def _rounds(
    service: UnderTest,
    connection: Asking,
    query: Query,
    plan: Plan,
    taken: _Taken,
    before_each: Callable[[], None] | None,
) -> None:
    started = time.monotonic()
    for number in range(plan.runs):
        if number >= _LEAST_RUNS and time.monotonic() - started > plan.seconds:
            break
        if before_each:
            before_each()
        turns: list[Plain | None] = [None, *query.ways]  # None: ours
        for way in turns if number % 2 else reversed(turns):  # who is asked first warms up for the others
            if way is None:
                taken.ours.append(_asked(connection, query).ms)
            else:
                taken.ways[way.name].append(service.plain_ms(way))


def _asked(connection: Asking, query: Query) -> Answer:
    answer = connection.get(query.path)
    if answer.status != _OK:
        raise _Refused(f"{answer.status} after {answer.ms:,.0f} ms: {answer.body[:200].decode(errors='replace')}")
    return answer


def _difference(service: UnderTest, query: Query, connection: Asking) -> str | None:
    shown = query.shown(decoded(_asked(connection, query).body))
    true = query.truth(service.rows)
    return None if query.same(shown, true) else f"WRONG ANSWER: {str(shown)[:300]} instead of {str(true)[:300]}"


def latencies(taken: Sequence[float]) -> Latencies:
    """Their middle and their worst, nearly."""
    if len(taken) == 1:
        return Latencies(taken[0], taken[0], 1)
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return Latencies(cuts[49], cuts[98], len(taken))
