"""The bus: where an accepted report waits until it is a row. Two ports and the values that travel through them.

A record that `publish` returned for is durable: it survives a crash of every process of ours. Reading is at least once:
what was not committed is read again, in the same order within its partition.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ledger.errors import LedgerError

_POSITION_TEXT = re.compile(r"(\d{1,3})-(\d{1,5})-(\d{1,13})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A record's place on the bus; the order of positions within a partition is the order of acceptance."""

    generation: int
    partition: int
    offset: int

    @property
    def text(self) -> str:
        """As the header `LLMLedger-Position` tells it."""
        return f"{self.generation}-{self.partition}-{self.offset}"

    @classmethod
    def from_text(cls, text: str) -> "Position | None":
        """The inverse of `text`; None for anything else."""
        match = _POSITION_TEXT.fullmatch(text)
        if match is None:
            return None
        generation, partition, offset = map(int, match.groups())
        fits = generation < 2**8 and partition < 2**16 and offset < 2**40
        return cls(generation, partition, offset) if fits else None


@dataclass(frozen=True, slots=True)
class Record:
    """What is handed to the bus: all records of one `key` are read in order by one worker."""

    key: bytes
    envelope: bytes  # the event contract of ledger.report, encoded
    body: bytes  # the report's bytes as they came
    headers: tuple[tuple[str, bytes], ...] = ()  # beside the envelope; dead letters say there why they are dead
    partition: int | None = None  # None: the one that the key belongs to


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is read from the bus, exactly as it stands there; nothing about it is known to be valid yet.

    A replayed dead letter keeps the position of its acceptance, which decides its place among its record's events.
    """

    position: Position
    key: bytes | None
    envelope: bytes | None  # None when the record has no (single, non-null) envelope header
    body: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()  # further headers, kept for the dead letters
    replayed_at: Position | None = None  # where it was read, when it was put on the bus again
    replays: int = 0  # how often that was done
    claimed: bytes | None = None
    """The body that the envelope's claim names, fetched for this reading; no part of the record."""

    @property
    def read_at(self) -> Position:
        """Where it stood when it was read: what progress is counted by."""
        return self.replayed_at or self.position


@runtime_checkable
class Publisher(Protocol):
    """Puts records on the bus."""

    async def start(self) -> None:
        """Begin connecting. Returns at once also when the bus is away; `publish` raises until it is there."""

    async def publish(self, record: Record) -> Position:
        """Return once the record is durable. Raises `BusUnavailable` when that was not confirmed in time.

        The record may be on the bus all the same, unless the error's text says that it was not handed over.
        """

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """Return once each record's fate is known: its place, or what `publish` would have raised, in their order.

        Records of one key are read in the order in which they stand here. One that fails harms no other one. Raises
        only what is no `LedgerError`: a mistake of ours.
        """

    async def broadcast(self, record: Record) -> list[Position]:
        """Return once the record is durable in every partition, with its places in their order.

        Raises `BusUnavailable` when one of them was not confirmed; the others may have it all the same.
        """

    async def close(self) -> None:
        """Wait for what is under way, then let go of the bus."""


@runtime_checkable
class Source(Protocol):
    """Reads the bus from where the last commit left it."""

    async def poll(self, limit: int) -> Sequence[Delivery]:
        """Up to `limit` further deliveries; waits until there is at least one or the source is closed (then empty)."""

    async def commit(self, resume_at: dict[int, int]) -> None:
        """From now on a reopened source begins at these offsets (the next to read, per partition)."""


def settled_by(deliveries: Iterable[Delivery]) -> list[Position]:
    """The last place of each partition that these deliveries were read from."""
    last: dict[tuple[int, int], Position] = {}
    for at in (delivery.read_at for delivery in deliveries):
        last[at.generation, at.partition] = max(last.get((at.generation, at.partition), at), at)
    return sorted(last.values())


def committable(deliveries: Iterable[Delivery]) -> dict[int, int]:
    """The offset to resume from, per partition (a commit names the next record, not the last)."""
    resume: dict[int, int] = {}
    for at in (delivery.read_at for delivery in deliveries):
        resume[at.partition] = max(resume.get(at.partition, 0), at.offset + 1)
    return resume
