"""The claim check: a body that is too large for the bus goes to the blob store, and its record names it there.

The claim is stored before its record is published, under a name that no other attempt has: what a record names can be
read for as long as the record can, and a retry under the same key never writes over what another attempt has accepted.
A claim that no record names is harmless; it goes with its age, or at once where its record is surely not on the bus.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from ledger.blobs import Claims
from ledger.bus import Position, Publisher, Record
from ledger.bus.claim_keeping import Keeper, Turn
from ledger.clock import from_milliseconds
from ledger.errors import BusUnavailable, Invalid, LedgerError, TooLargeForBus
from ledger.failpoints import failpoint
from ledger.ids import ProjectId
from ledger.report import CLAIM_VERSION, Claim, Envelope, decode, encode

_BATCH_BYTES = 61 + 21  # a batch's head, and the most that a record in it takes beside its contents
_HEADER_BYTES = 32  # its lengths and its name, with room: what is taken for small here must not be too large there

_UNREADABLE = "The record is larger than the bus takes, and its envelope cannot be read."

_NAME = re.compile(r"claims/([0-9a-f]*)/\d{4}-\d\d-\d\d/[0-9a-f-]{36}-[0-9a-f]{16}", re.ASCII)


class ClaimingPublisher:
    """A publisher whose records may be larger than the bus takes."""

    def __init__(
        self, publisher: Publisher, claims: Claims, above_bytes: int, *, deadline_seconds: float = 15.0
    ) -> None:
        self._publisher = publisher
        self._above_bytes = above_bytes
        self._keeper = Keeper(claims, deadline_seconds=deadline_seconds)

    async def start(self) -> None:
        """Begin connecting."""
        await self._publisher.start()

    async def publish(self, record: Record) -> Position:
        """Return once the record is durable, and its body where that is kept beside it.

        Raises `TooLarge`, or `BusUnavailable`, also when the blob store did not take the body in time.
        """
        if most_bytes(record) <= self._above_bytes:
            return await self._publisher.publish(record)
        fitting = await self._claimed(record, self._keeper.turn())
        try:
            return await self._publisher.publish(fitting.record)
        except LedgerError as error:
            self._take_back(fitting, error)
            raise

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """The same for each of them, in their order; raises for none of them."""
        if all(most_bytes(record) <= self._above_bytes for record in records):
            return await self._publisher.publish_all(records)
        fitting = self._in_order(records, await self._all_fitting(records))
        handed_over = [each for each in fitting if isinstance(each, _Fitting)]
        outcomes = await self._publisher.publish_all([each.record for each in handed_over])
        for each, outcome in zip(handed_over, outcomes, strict=True):
            self._take_back(each, outcome)
        told = iter(outcomes)
        return [next(told) if isinstance(each, _Fitting) else each for each in fitting]

    async def broadcast(self, record: Record) -> list[Position]:
        """As the publisher behind does: what goes to every partition is small."""
        return await self._publisher.broadcast(record)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the bus."""
        await self._keeper.close()
        await self._publisher.close()

    async def _all_fitting(self, records: Sequence[Record]) -> list["_Fitting | LedgerError"]:
        turn = self._keeper.turn()
        try:
            return await asyncio.gather(*(self._fitting(record, turn) for record in records))
        except asyncio.CancelledError:  # the sender went away, and no record is on the bus
            for name in turn.kept:
                self._keeper.forget(name)
            raise

    async def _fitting(self, record: Record, turn: Turn) -> "_Fitting | LedgerError":
        try:
            return _Fitting(record) if most_bytes(record) <= self._above_bytes else await self._claimed(record, turn)
        except LedgerError as error:
            return error

    def _in_order(
        self, records: Sequence[Record], fitting: Sequence["_Fitting | LedgerError"]
    ) -> list["_Fitting | LedgerError"]:
        """Of a key, nothing goes on the bus after a record that is to be sent again: that would come behind it."""
        refused: dict[bytes, BusUnavailable] = {}
        ordered: list[_Fitting | LedgerError] = []
        for record, each in zip(records, fitting, strict=True):
            error = refused.get(record.key)
            if isinstance(each, _Fitting) and error:
                self._take_back(each, error)
                each = error
            elif isinstance(each, BusUnavailable):
                refused[record.key] = each
            ordered.append(each)
        return ordered

    async def _claimed(self, record: Record, turn: Turn) -> "_Fitting":
        """The record without its body, which is durable by now under the name that the envelope says."""
        try:
            envelope = decode(record.envelope)
            claim = Claim(new_name(envelope), len(record.body))
        except (Invalid, OverflowError) as error:
            raise TooLargeForBus(_UNREADABLE) from error
        if not is_name_of(claim.name, envelope.project):
            raise TooLargeForBus(_UNREADABLE)  # an old dead letter: `ingest_api` writes no such ids
        await self._keeper.keep(claim.name, record.body, turn)
        failpoint("A1.claim")
        named = with_changes(envelope, version=max(envelope.version, CLAIM_VERSION), blob=claim)
        return _Fitting(replace(record, envelope=encode(named), body=b""), claim.name)

    def _take_back(self, fitting: "_Fitting", outcome: Position | LedgerError) -> None:
        """Delete the claim of a record that is surely not on the bus: each retry brings the body once more.

        Where it may be there, the claim stays.
        """
        if fitting.claim and isinstance(outcome, LedgerError) and _is_surely_not_there(outcome):
            self._keeper.forget(fitting.claim)


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
