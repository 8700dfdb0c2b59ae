"""Room on the data folder's disk: accepting stops before the disk is full, and goes on by itself once there is room.

The floor is the size of the store's largest part, since a merge writes its result beside it; at least 256 MiB or a
twentieth of the disk, whichever is less, for the log and inserts; at most 4 GiB, beyond which the engine finds smaller
merges. A new ledger so starts on any disk with 256 MiB free; an established one keeps room to merge.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from clickhouse_connect.driver import Client

from ledger.bus import Position, Publisher, Record
from ledger.errors import BusUnavailable, Invalid, LedgerError
from ledger.report import decode
from ledger.store.clickhouse import ClickHousePool

MIB = 1024 * 1024
LEAST_BYTES = 256 * MIB
LEAST_SHARE = 20
MOST_BYTES = 4096 * MIB
LOOK_EVERY_SECONDS = 1.0
PARTS_EVERY_SECONDS = 60.0

log = logging.getLogger(__name__)


def free_and_total(folder: Path) -> tuple[int, int]:
    """Bytes of the folder's disk that this process may still use, and all of them."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


@dataclass(slots=True)
class DiskSpace:
    """Whether there is room; looks at the disk at most once a second."""

    folder: Path
    look: Callable[[Path], tuple[int, int]] = free_and_total
    now: Callable[[], float] = time.monotonic
    largest_part_bytes: int = 0
    _shortage: str | None = field(default=None, init=False)
    _looked_at: float | None = field(default=None, init=False)

    def shortage(self) -> str | None:
        """Why nothing is accepted at the moment; None when there is room."""
        now = self.now()
        if self._looked_at is None or now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = now
            self._note(self._found())
        return self._shortage

    def _found(self) -> str | None:
        free, total = self.look(self.folder)
        floor = floor_of(total, self.largest_part_bytes)
        if free >= floor:
            return None
        return f"the disk of {self.folder} has {free // MIB} MiB free; below {floor // MIB} MiB nothing is accepted"

    def _note(self, shortage: str | None) -> None:
        if shortage and not self._shortage:
            log.error("Nothing is accepted until there is room.", extra={"reason": shortage})
        if self._shortage and not shortage:
            log.warning("There is room again; reports are accepted.", extra={"folder": str(self.folder)})
        self._shortage = shortage


def floor_of(total_bytes: int, largest_part_bytes: int) -> int:
    """Free bytes below which nothing is accepted."""
    least = min(LEAST_BYTES, total_bytes // LEAST_SHARE)
    return min(max(least, largest_part_bytes), MOST_BYTES)


def largest_part_bytes(client: Client) -> int:
    """The size of the store's largest part on disk; 0 for an empty store."""
    sql = "SELECT max(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
    return int(client.query(sql).result_rows[0][0])


async def watch_parts(space: DiskSpace, pool: ClickHousePool) -> None:
    """Keep the size of the largest part up to date until cancelled."""
    while True:
        try:
            space.largest_part_bytes = await pool.run(largest_part_bytes)
        except LedgerError as error:  # not known for now: the last size stays
            log.warning("The store's parts could not be looked at.", extra={"error": str(error)})
        await asyncio.sleep(PARTS_EVERY_SECONDS)


def _deletes(record: Record) -> bool:
    try:
        return decode(record.envelope).kind.is_deletion
    except Invalid:
        return False


class RoomyPublisher:
    """A publisher that takes records only while there is room for them, and deletions always."""

    def __init__(self, publisher: Publisher, space: DiskSpace) -> None:
        self._publisher = publisher
        self._space = space

    async def start(self) -> None:
        """Begin connecting."""
        await self._publisher.start()

    async def publish(self, record: Record) -> Position:
        """Return once the record is durable. Raises `BusUnavailable`, at once when there is no room.

        What deletes is taken also then: it is how room is made.
        """
        shortage = self._space.shortage()
        if shortage and not _deletes(record):
            raise BusUnavailable(f"Not handed over: {shortage}.")
        return await self._publisher.publish(record)

    async def publish_all(self, records: Sequence[Record]) -> list[Position | LedgerError]:
        """The same for each of them: where there is no room, only those that delete are handed on."""
        shortage = self._space.shortage()
        if not shortage:
            return await self._publisher.publish_all(records)
        taken = [_deletes(record) for record in records]
        outcomes = iter(await self._publisher.publish_all([*compress(records, taken)]))
        return [next(outcomes) if take else BusUnavailable(f"Not handed over: {shortage}.") for take in taken]

    async def broadcast(self, record: Record) -> list[Position]:
        """The same for every partition. Taken also when there is no room: what is broadcast deletes."""
        return await self._publisher.broadcast(record)

    async def close(self) -> None:
        """Let go of the bus."""
        await self._publisher.close()
