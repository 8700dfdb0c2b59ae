"""Many clients at once, each asking one query after the other, drawn by weight: how long each kind takes then."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec

from tests.bench.query.dataset import MODELS
from tests.bench.query.measuring import Latencies, latencies
from tests.bench.query.process import Gone, Service
from tests.bench.query.queries import A_MODEL, A_USER, Query

CLIENTS = 16
P99_BY_SINGLE_P50 = 10.0
_OK = 200
_SHOWN_FAILURES = 20
ALL = "all kinds together"


class Kind(msgspec.Struct, frozen=True):
    """What became of one kind of query among the others."""

    name: str
    latencies: Latencies | None  # None: it was not asked, or never answered
    failures: list[str]  # a few of them
    single_p50: float | None  # of one client alone, with the same mix

    @property
    def met(self) -> bool | None:
        """Whether p99 is below ten times the single client's p50; None where one of them is not known."""
        if self.latencies is None or self.single_p50 is None:
            return None
        return not self.failures and self.latencies.p99 < P99_BY_SINGLE_P50 * self.single_p50


@dataclass(slots=True)
class _Seen:
    """What the clients saw. Appending to a list is safe among threads."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mix:
    """What is asked, and of how many users."""

    service: Service
    queries: Sequence[Query]
    users: int


def mixed(mix: Mix, seconds: float) -> list[Kind]:
    """One client alone for so long, then many at once for as long: all kinds together, then each of them."""
    alone = _with_all(_asked(mix, 1, seconds))
    single = {name: latencies(taken).p50 for name, taken in alone.taken.items() if taken}
    seen = _with_all(_asked(mix, CLIENTS, seconds))
    return [
        Kind(name, latencies(taken) if taken else None, _failures(name, alone, seen), single.get(name))
        for name, taken in seen.taken.items()
    ]


def _with_all(seen: _Seen) -> _Seen:
    together = [ms for taken in seen.taken.values() for ms in taken]
    failures = [text for some in seen.failures.values() for text in some]
    return _Seen({ALL: together, **seen.taken}, {ALL: failures, **seen.failures})


def _failures(name: str, *seen: _Seen) -> list[str]:
    return [text for one in seen for text in one.failures[name]][:_SHOWN_FAILURES]


def _asked(mix: Mix, clients: int, seconds: float) -> _Seen:
    names = [query.name for query in mix.queries]
    seen = _Seen({name: [] for name in names}, {name: [] for name in names})
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_client, args=(mix, _order(mix.queries, number, clients), until, seen))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _order(queries: Sequence[Query], number: int, clients: int) -> Iterator[tuple[Query, Random]]:
    """What a client asks: at first each another kind, so that none is left out, then as they are drawn."""
    random, weights = Random(number), [query.weight for query in queries]
    yield from ((query, random) for query in queries[number::clients])
    while True:
        yield random.choices(queries, weights)[0], random


def _client(mix: Mix, order: Iterator[tuple[Query, Random]], until: float, seen: _Seen) -> None:
    connection = mix.service.connect()
    for query, random in order:
        if time.monotonic() > until:
            break
        try:
            answer = connection.get(varied(query.path, random, mix.users))
        except (Gone, OSError) as error:
            seen.failures[query.name].append(str(error))
            connection.close()
            connection = mix.service.connect()
            continue
        if answer.status == _OK:
            seen.taken[query.name].append(answer.ms)
        else:
            seen.failures[query.name].append(f"{answer.status}: {answer.body[:100]!r}")
    connection.close()


def varied(path: str, random: Random, users: int) -> str:
    """The same kind of query, about someone else."""
    user, model = f"user-{random.randrange(users)}", f"model-{random.randrange(MODELS)}"
    return path.replace(A_USER, user).replace(A_MODEL, model)
