"""The engine's own account of what its tables hold: the active parts, by which a stored aggregate is known to be good.

A part never changes: a write, a merge, a mutation or a drop makes other parts. Its name alone is not enough, because
names can come back with other content; its name and the hash of its files together are.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from ledger.clock import to_milliseconds
from ledger.filtering.statements import Bound
from query_api.aggregates.spans import Period, month_at
from query_api.reading import Reader

ROWS_TABLE = "request_logs"
ENGINE = "ReplacingMergeTree"
"""Of a table of any other engine there may be several copies, each made of parts of its own."""

_READ_FROM = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)", re.ASCII)
ALWAYS = Period(0, 2**62)
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """An active part of a table."""

    table: str
    name: str
    hash: str
    times: Period  # no row in it is outside


@dataclass(frozen=True, slots=True)
class Parts:
    """What there was at one moment, on one server."""

    host: str
    replicated: bool
    active: tuple[Part, ...]

    def of(self, tables: Collection[str]) -> "Parts":
        """Those of these tables."""
        return Parts(self.host, self.replicated, tuple(part for part in self.active if part.table in tables))

    def are_of(self, hosts: Collection[str]) -> bool:
        """Whether a statement that these servers answered certainly read these parts."""
        return not self.replicated or set(hosts) == {self.host}

    def fingerprint(self, period: Period) -> bytes:
        """Equal exactly when the same parts, of the same content, on the same server can hold rows of the period."""
        texts = sorted(f"{part.table} {part.name} {part.hash}" for part in self.active if part.times.overlaps(period))
        return blake2b("\n".join([self.host, *texts]).encode(), digest_size=16).digest()


def tables_read(sql: str) -> frozenset[str]:
    """The tables that a statement of ours reads."""
    return frozenset(_READ_FROM.findall(sql))


async def read_parts(reader: Reader, tables: Collection[str]) -> Parts | None:
    """The active parts of these tables; None where the engine shows none of the rows' table.

    That is an empty table, or one whose parts this user may not see: nothing can be told then.
    """
    bound = Bound()
    names = bound.value(sorted(tables), "Array(String)")
    found = await reader.rows(
        bound.statement(
            "SELECT hostName(), engine, table, name, hash_of_all_files, partition,"
            " toUnixTimestamp(min_time), toUnixTimestamp(max_time)"
            f" FROM system.parts WHERE database = currentDatabase() AND active AND table IN {names}"
        )
    )
    if not found:
        return None
    host, engine = found[0][:2]
    parts = Parts(host, engine != ENGINE, tuple(_part(values[2:]) for values in found))
    rows = parts.of({ROWS_TABLE}).active
    return parts if rows and all(part.times != ALWAYS for part in rows) else None


def _part(values: Sequence[object]) -> Part:
    table, name, hash_, partition, first, last = values
    return Part(str(table), str(name), str(hash_), _times(str(partition), int(str(first)), int(str(last))))


def _times(partition: str, first: int, last: int) -> Period:
    """The engine tells whole seconds of 32 bits. Where they do not fit the month, all of the month is meant."""
    if not re.fullmatch(r"\d{6}", partition, re.ASCII):
        return ALWAYS
    month = month_at(to_milliseconds(datetime(int(partition[:4]), int(partition[4:]), 1, tzinfo=UTC)))
    told = Period(first * _SECOND_MS, (last + 1) * _SECOND_MS)
    if not month.start <= told.start < told.end <= month.end:
        return month
    return Period(max(month.start, told.start - _SECOND_MS), min(month.end, told.end + _SECOND_MS))
