"""Where dead letters are kept, both ways to run: the store's table `dead_letters`.

Each death of a record is one row, of which that after the most replays counts; so neither a worker that has lost its
partitions nor a batch that is read again can put an old death in front of a newer one.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from clickhouse_connect.driver import Client

from ledger.bus import Delivery, Position
from ledger.clock import Clock, to_milliseconds
from ledger.errors import Invalid
from ledger.report import Envelope, decode
from ledger.store.clickhouse import ClickHousePool, insert
from ledger.store.columns import LABEL, TIME, Column, each
from workers.decoding import Rejected

POSITIONS_PER_LOOK_UP = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row of the table."""

    rejected: Rejected
    envelope: Envelope | None  # None where it cannot be read
    first_dead_at: int  # milliseconds since 1970
    dead_at: int

    @property
    def delivery(self) -> Delivery:
        """What was read, as it was."""
        return self.rejected.delivery

    @property
    def project(self) -> str:
        """Whose it is: the envelope says so, else the key; '' when neither does."""
        if self.envelope:
            return self.envelope.project
        project, slash, _ = (self.delivery.key or b"").partition(b"/")
        return project.decode(errors="replace") if slash else ""


class TableQuarantine:
    """Writes each dead letter into the table."""

    def __init__(self, pool: ClickHousePool, clock: Clock, code_version: str, bus_name: str = "log") -> None:
        self._pool = pool
        self._clock = clock
        self._columns = dead_letter_columns(code_version, bus_name)

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Durable on return, but for what a deletion has erased before. Raises `StoreUnavailable`, `StoreBroken`."""
        await self._pool.run(lambda client: self._write(client, rejected))

    def _write(self, client: Client, rejected: Sequence[Rejected]) -> None:
        now = to_milliseconds(self._clock())
        positions = [item.delivery.position for item in rejected]
        known, erased = _first_deaths(client, positions), _erased(client, positions)
        rows = [
            DeadLetter(item, _envelope_of(item.delivery), known.get(item.delivery.position, now), now)
            for item in rejected
            if item.delivery.position not in erased
        ]
        if not rows:
            return
        first, last = rejected[0].delivery.read_at, rejected[-1].delivery.read_at
        insert(client, "dead_letters", self._columns, rows, f"dead-{first.text}-{last.text}-{len(rows)}")


def _first_deaths(client: Client, of: Sequence[Position]) -> Mapping[Position, int]:
    """When those of these positions that have died before did so first."""
    sql = "SELECT offset, toUnixTimestamp64Milli(min(first_dead_at)) FROM dead_letters WHERE {at} GROUP BY offset"
    return {position: at for position, (at,) in _at_positions(client, sql, of)}


def _erased(client: Client, of: Sequence[Position]) -> set[Position]:
    """Those of these positions whose dead letter a deletion took: read again, they must not come back."""
    found = _at_positions(client, "SELECT offset FROM erased_dead_letters WHERE {at} GROUP BY offset", of)
    return {position for position, _ in found}


def _at_positions(client: Client, sql: str, of: Sequence[Position]) -> Iterator[tuple[Position, Sequence[Any]]]:
    """The rows of a statement whose first column is the offset and whose condition is `{at}`."""
    condition = (
        "generation = {generation:UInt8} AND partition = {partition:UInt16} AND offset IN {offsets:Array(UInt64)}"
    )
    for generation, partition in sorted({(at.generation, at.partition) for at in of}):
        offsets = [at.offset for at in of if (at.generation, at.partition) == (generation, partition)]
        for start in range(0, len(offsets), POSITIONS_PER_LOOK_UP):
            some = offsets[start : start + POSITIONS_PER_LOOK_UP]
            parameters = {"generation": generation, "partition": partition, "offsets": some}
            for offset, *rest in client.query(sql.replace("{at}", condition), parameters=parameters).result_rows:
                yield Position(generation, partition, offset), rest


def _envelope_of(delivery: Delivery) -> Envelope | None:
    try:
        return decode(delivery.envelope or b"")
    except Invalid:
        return None


def dead_letter_columns(code_version: str, bus_name: str) -> tuple[Column, ...]:
    """The table's columns, of `DeadLetter`s."""
    return (
        each("generation", "UInt8", lambda dead: dead.delivery.position.generation),
        each("partition", "UInt16", lambda dead: dead.delivery.position.partition),
        each("offset", "UInt64", lambda dead: dead.delivery.position.offset),
        each("replays", "UInt32", lambda dead: dead.delivery.replays),
        each("key", "Nullable(String)", lambda dead: dead.delivery.key),
        each("envelope", "Nullable(String)", lambda dead: dead.delivery.envelope),
        each("body", "Nullable(String)", lambda dead: dead.delivery.body),
        each("headers", "String", lambda dead: headers_text(dead.delivery)),
        each("size", "UInt64", lambda dead: len(dead.delivery.body or b"")),
        each("project", LABEL, lambda dead: dead.project),
        each("record_id", "String", _of_envelope(lambda envelope: envelope.record_id)),
        each("event_id", "String", _of_envelope(lambda envelope: envelope.event_id)),
        each("kind", LABEL, _of_envelope(lambda envelope: envelope.kind.value)),
        each("topic", LABEL, lambda _: bus_name),
        each("reason", LABEL, lambda dead: dead.rejected.code.value),
        each("detail", "String", lambda dead: dead.rejected.detail),
        each("error_class", LABEL, lambda dead: dead.rejected.error_class),
        each("code_version", LABEL, lambda _: code_version),
        each("first_dead_at", TIME, lambda dead: dead.first_dead_at),
        each("dead_at", TIME, lambda dead: dead.dead_at),
    )


def _of_envelope(value: Callable[[Envelope], str]) -> Callable[[Any], str]:
    return lambda dead: value(dead.envelope) if dead.envelope else ""


def headers_text(delivery: Delivery) -> str:
    """The delivery's further headers, as JSON with base64 values: names and bytes may be anything."""
    pairs = [[name, b64encode(value).decode()] for name, value in delivery.headers]
    return msgspec.json.encode(pairs).decode()
