"""A buffer that knows only *when*, and a pace that knows how much: neither knows the bus or the store.

A buffer is ready when it holds something and has reached the count, the bytes or the age of its limits. What is taken
is small for a worker that keeps up, and all that came meanwhile for one that is behind, up to `CHUNKS` times the count:
then each part of it is prepared while the one before it is stored. Progress is made only once all of it is, so no more
than one count is taken where storing is slow. Clocks are handed in: they return seconds that never go back.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ledger.settings import BatchSection

T = TypeVar("T")

CHUNKS = 3
"""So many times the count are taken at once. More would add little: all but the first are prepared in good time."""

QUICK_SECONDS = 2.0
"""A chunk that is stored within this time leaves several of them time enough before a stop or a rebalance ends."""


class Pace:
    """How many chunks are worth taking at once: one, and `CHUNKS` only while the batch before was stored quickly."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.chunks = 1

    @contextmanager
    def storing(self) -> Iterator[None]:
        """A batch of so many chunks is stored meanwhile."""
        begun = self._clock()
        yield
        is_quick = self._clock() - begun <= QUICK_SECONDS * self.chunks
        self.chunks = CHUNKS if is_quick else 1


class BatchBuffer(Generic[T]):
    """Collects items, oldest first."""

    def __init__(self, limits: BatchSection, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._most = CHUNKS * limits.max_rows
        self._clock = clock
        self._items: deque[tuple[T, int, float]] = deque()  # with size and time of arrival
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def bytes(self) -> int:
        """The sizes of everything in here."""
        return self._bytes

    @property
    def room(self) -> int:
        """How many items more are worth holding: 0 when there is a whole batch of `CHUNKS`."""
        return 0 if self._bytes >= self._limits.max_bytes else max(0, self._most - len(self._items))

    def add(self, item: T, size: int) -> None:
        """Take one more item of that many bytes."""
        self._items.append((item, size, self._clock()))
        self._bytes += size

    def seconds_until_ready(self) -> float | None:
        """0 when a batch is worth taking now; None when time alone will not make it so, as nothing is in here."""
        if not self._items:
            return None
        if len(self._items) >= self._limits.max_rows or self._bytes >= self._limits.max_bytes:
            return 0.0
        _, _, arrived = self._items[0]  # age counts from the oldest item, not from the last batch
        return max(0.0, arrived + self._limits.max_age_seconds - self._clock())

    def take(self, chunks: int) -> list[T]:
        """The oldest items, at least one and at most so many times the count; empty only when nothing is in here."""
        most = chunks * self._limits.max_rows
        batch: list[T] = []
        taken = 0
        while self._items and len(batch) < most and taken < self._limits.max_bytes:
            item, size, _ = self._items.popleft()
            batch.append(item)
            taken += size
        self._bytes -= taken
        return batch

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._bytes = 0
