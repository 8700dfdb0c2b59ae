"""A bus in memory: the fake under the same contract as the real ones. Durable for as long as the process lives."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.bus import Delivery, Position, Record
from ledger.bus.replays import delivery_at
from ledger.errors import BusUnavailable, LedgerError


@dataclass(slots=True)
class MemoryBus:
    """Publisher and source of one partition. `away = True` makes it refuse, as a bus that cannot be reached does."""

    generation: int = 1
    away: bool = False
    records: list[Record] = field(default_factory=list)
    resume_at: int = 0
    _next: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    async def start(self) -> None:
        """Nothing to connect to."""

    async def publish(self, record: Record) -> Position:
        """Append the record. Raises `BusUnavailable` while away."""
        if self.away:
            raise BusUnavailable("Not handed over, retry.")
        self.records.append(record)
        self._arrived.set()
        return Position(self.generation, 0, len(self.records) - 1)

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """Append one after the other."""
        return [await self._outcome(record) for record in records]

    async def _outcome(self, record: Record) -> Position | LedgerError:
        try:
            return await self.publish(record)
        except LedgerError as error:
            return error

    async def broadcast(self, record: Record) -> list[Position]:
        """Append the record to the one partition. Raises `BusUnavailable` while away."""
        return [await self.publish(record)]

    async def poll(self, limit: int) -> Sequence[Delivery]:
        """Up to `limit` further deliveries; waits for the first one, empty once closed."""
        while self._next >= len(self.records) and not self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        found = self.records[self._next : self._next + limit]
        start, self._next = self._next, self._next + len(found)
        return [self._delivery(start + at, record) for at, record in enumerate(found)]

    async def commit(self, resume_at: dict[int, int]) -> None:
        """Remember where a reopened bus begins to read."""
        self.resume_at = max(self.resume_at, resume_at.get(0, 0))

    def reopened(self) -> "MemoryBus":
        """The same records, read from the last commit on, as after a restart."""
        return MemoryBus(self.generation, records=self.records, resume_at=self.resume_at, _next=self.resume_at)

    async def close(self) -> None:
        """Let a waiting `poll` return."""
        self._closed = True
        self._arrived.set()

    def _delivery(self, offset: int, record: Record) -> Delivery:
        position = Position(self.generation, 0, offset)
        return delivery_at(position, record.key, record.envelope, record.body, record.headers)
