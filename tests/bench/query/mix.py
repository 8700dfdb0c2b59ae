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


class Kind(msgspec.Struct, frozen=True):
    """What became of one kind of query among the others."""

    name: str
    latencies: Latencies | None  # None: it was not asked, or never answered
    failures: list[str]  # a few of them
    single_p50: float | None  # of one client alone

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


def mixed(
    service: Service, queries: Sequence[Query], seconds: float, users: int, single: dict[str, float]
) -> list[Kind]:
    """So many clients for so long. `single` is the p50 of each query by itself."""
    seen = _Seen({query.name: [] for query in queries}, {query.name: [] for query in queries})
    until = time.monotonic() + seconds
    clients = [
        threading.Thread(target=_client, args=(service, _order(queries, number), users, until, seen))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return [
        Kind(name, latencies(taken) if taken else None, seen.failures[name][:_SHOWN_FAILURES], single.get(name))
        for name, taken in seen.taken.items()
    ]


def _order(queries: Sequence[Query], number: int) -> Iterator[tuple[Query, Random]]:
    """What a client asks: at first each another kind, so that none is left out, then as they are drawn."""
    random, weights = Random(number), [query.weight for query in queries]
    yield from ((query, random) for query in queries[number::CLIENTS])
    while True:
        yield random.choices(queries, weights)[0], random


def _client(service: Service, order: Iterator[tuple[Query, Random]], users: int, until: float, seen: _Seen) -> None:
    connection = service.connect()
    for query, random in order:
        if time.monotonic() > until:
            break
        try:
            answer = connection.get(varied(query.path, random, users))
        except (Gone, OSError) as error:
            seen.failures[query.name].append(str(error))
            connection.close()
            connection = service.connect()
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
