"""The claim check: a body that is too large for the bus goes to the blob store, and its record names it there.

The claim is stored before its record is published, under a name that no other attempt has: what a record names can be
read for as long as the record can, and a retry under the same key never writes over what another attempt has accepted.
A claim that no record names is harmless; it goes with its age, or at once where its record is surely not on the bus.
"""

import asyncio
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from ledger.blobs import Claims
from ledger.bus import Position, Publisher, Record
from ledger.clock import from_milliseconds
from ledger.counted_log import CountedLog
from ledger.errors import BusUnavailable, Invalid, LedgerError, TooLargeForBus, Unavailable
from ledger.failpoints import failpoint
from ledger.ids import ProjectId
from ledger.report import CLAIM_VERSION, Claim, Envelope, decode, encode

PUT_AT_ONCE = 4
"""So many bodies may be on their way to the blob store; the memory of each is held until it is there or refused."""

_BATCH_BYTES = 61 + 21  # a batch's head, and the most that a record in it takes beside its contents
_HEADER_BYTES = 16  # two lengths, and the envelope's name

_UNREADABLE = "The record is larger than the bus takes, and its envelope cannot be read."

_NAME = re.compile(r"claims/([0-9a-f]*)/\d{4}-\d\d-\d\d/[0-9a-f-]{36}-[0-9a-f]{16}", re.ASCII)

log = logging.getLogger(__name__)


class ClaimingPublisher:
    """A publisher whose records may be larger than the bus takes."""

    def __init__(
        self, publisher: Publisher, claims: Claims, above_bytes: int, *, deadline_seconds: float = 15.0
    ) -> None:
        self._publisher = publisher
        self._claims = claims
        self._above_bytes = above_bytes
        self._deadline_seconds = deadline_seconds  # for a body to be in the blob store
        self._places = asyncio.Semaphore(PUT_AT_ONCE)
        self._putting: set[asyncio.Task[None]] = set()
        self._failures = CountedLog(log)

    async def start(self) -> None:
        """Begin connecting."""
        await self._publisher.start()

    async def publish(self, record: Record) -> Position:
        """Return once the record is durable, and its body where that is kept beside it.

        Raises `TooLarge`, or `BusUnavailable`, also when the blob store did not take the body in time.
        """
        if most_bytes(record) <= self._above_bytes:
            return await self._publisher.publish(record)
        fitting = await self._claimed(record)
        try:
            return await self._publisher.publish(fitting.record)
        except LedgerError as error:
            await self._take_back(fitting, error)
            raise

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """The same for each of them, in their order; raises for none of them."""
        if all(most_bytes(record) <= self._above_bytes for record in records):
            return await self._publisher.publish_all(records)
        fitting = await asyncio.gather(*map(self._fitting, records))
        handed_over = [each for each in fitting if isinstance(each, _Fitting)]
        outcomes = await self._publisher.publish_all([each.record for each in handed_over])
        await asyncio.gather(*map(self._take_back, handed_over, outcomes))
        told = iter(outcomes)
        return [next(told) if isinstance(each, _Fitting) else each for each in fitting]

    async def broadcast(self, record: Record) -> list[Position]:
        """As the publisher behind does: what goes to every partition is small."""
        return await self._publisher.broadcast(record)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the bus."""
        if self._putting:
            await asyncio.wait(self._putting, timeout=self._deadline_seconds)
        await self._publisher.close()

    async def _fitting(self, record: Record) -> "_Fitting | LedgerError":
        try:
            return _Fitting(record) if most_bytes(record) <= self._above_bytes else await self._claimed(record)
        except LedgerError as error:
            return error

    async def _claimed(self, record: Record) -> "_Fitting":
        """The record without its body, which is durable by now under the name that the envelope says."""
        try:
            envelope = decode(record.envelope)
            claim = Claim(new_name(envelope), len(record.body))
        except (Invalid, OverflowError) as error:
            raise TooLargeForBus(_UNREADABLE) from error
        if not is_name_of(claim.name, envelope.project):
            raise TooLargeForBus(_UNREADABLE)  # an old dead letter: `ingest_api` writes no such ids
        await self._kept(claim.name, record.body)
        failpoint("A1.claim")
        named = with_changes(envelope, version=max(envelope.version, CLAIM_VERSION), blob=claim)
        return _Fitting(replace(record, envelope=encode(named), body=b""), claim.name)

    async def _take_back(self, fitting: "_Fitting", outcome: Position | LedgerError) -> None:
        """Delete the claim of a record that is surely not on the bus: each retry brings the body once more.

        Where it may be there, the claim stays.
        """
        if fitting.claim is None or isinstance(outcome, Position) or not _is_surely_not_there(outcome):
            return
        try:
            await self._claims.delete_claim(fitting.claim)
        except Unavailable as error:
            self._failures.warning("A claim that no record names stays until it is old.", {"error": str(error)})

    async def _kept(self, name: str, body: bytes) -> None:
        """Return once the body is in the blob store. A put that takes too long keeps its place until its end."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._places.acquire()
                putting = asyncio.create_task(self._claims.put_claim(name, body))
                self._putting.add(putting)
                putting.add_done_callback(self._ended)
                await asyncio.shield(putting)
        except (TimeoutError, Unavailable) as error:
            self._failures.warning("A large body was not taken by the blob store.", {"error": str(error) or "too slow"})
            raise BusUnavailable("Not handed over, retry.") from error

    def _ended(self, putting: asyncio.Task[None]) -> None:
        self._places.release()
        self._putting.discard(putting)
        if not putting.cancelled():
            putting.exception()  # whoever waited has it; nobody may have


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A record that the bus takes, and the claim that it names, if it does."""

    record: Record
    claim: str | None = None


def _is_surely_not_there(error: LedgerError) -> bool:
    """As the port says: then the text of a `BusUnavailable` tells it."""
    return not isinstance(error, BusUnavailable) or str(error).startswith("Not handed over")


def new_name(envelope: Envelope) -> str:
    """Where the body of this event is kept: a name that nobody has used and nobody can guess."""
    day = from_milliseconds(envelope.accepted_at).date().isoformat()
    return f"claims/{envelope.project.encode().hex()}/{day}/{envelope.event_id}-{os.urandom(8).hex()}"


def is_name(name: str) -> bool:
    """Whether this is where a claim of any project may be."""
    return _NAME.fullmatch(name) is not None


def is_name_of(name: str, project: ProjectId) -> bool:
    """Whether this is where a claim of that project may be."""
    match = _NAME.fullmatch(name)
    return match is not None and match[1] == project.encode().hex()


def most_bytes(record: Record) -> int:
    """The most that the record takes on the bus."""
    beside = sum(4 * len(name) + len(value) + _HEADER_BYTES for name, value in record.headers) if record.headers else 0
    return _BATCH_BYTES + _HEADER_BYTES + len(record.key) + len(record.envelope) + len(record.body) + beside
