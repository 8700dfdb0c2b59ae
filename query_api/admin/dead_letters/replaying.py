"""Dead letters → the bus again, as they were, with headers that say where and how often.

An entry is marked as replayed after the bus has confirmed its copy. A crash between the two replays it once more, which
changes nothing: the copy is the same event.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.bus import Position, Publisher, Record
from ledger.bus.broadcasts import PARTITIONS_HEADER
from ledger.bus.replays import replay_headers
from ledger.clock import Clock, to_milliseconds
from ledger.errors import TooLarge
from ledger.filtering.reach import Reach
from ledger.store.clickhouse import ClickHousePool, insert
from ledger.store.columns import TIME, each
from query_api.admin.dead_letters import statements
from query_api.admin.dead_letters.choosing import Choice, State
from query_api.admin.dead_letters.reading import Summary, original, summaries
from query_api.admin.dead_letters.schemas import ReplayResult, Skipped
from query_api.admin.turns import Turns
from query_api.reading import Reader

MARKED_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How many, how often each, and how fast."""

    limit: int
    max_replays: int
    rate_per_second: float | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """A dead letter and the place of its copy."""

    position: Position
    replays: int
    to: Position
    at: int  # milliseconds since 1970


MARK_COLUMNS = (
    each("generation", "UInt8", lambda done: done.position.generation),
    each("partition", "UInt16", lambda done: done.position.partition),
    each("offset", "UInt64", lambda done: done.position.offset),
    each("replays", "UInt32", lambda done: done.replays),
    each("replayed_at", TIME, lambda done: done.at),
    each("to_generation", "UInt8", lambda done: done.to.generation),
    each("to_partition", "UInt16", lambda done: done.to.partition),
    each("to_offset", "UInt64", lambda done: done.to.offset),
)


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays within a caller's reach."""

    reader: Reader
    pool: ClickHousePool
    publisher: Publisher | None  # None: for dry runs only
    clock: Clock
    turns: Turns

    async def replay(self, choice: Choice, reach: Reach, pace: Pace) -> ReplayResult:
        """Replay the waiting ones that are meant, in the order of their acceptance. Raises `BusUnavailable`, `Busy`."""
        waiting = replace(choice, state=State.WAITING)
        matched = await self.reader.count(statements.total(waiting, reach))
        found = await summaries(self.reader, statements.replayable(waiting, reach, pace.max_replays, pace.limit))
        skipped = [Skipped(item.position.text, why) for item in found if (why := _obstacle(item, pace))]
        rest = [item for item in found if not _obstacle(item, pace)]
        if pace.dry_run or self.publisher is None:
            return ReplayResult(matched, 0, skipped, {item.position.text: None for item in rest})
        positions: dict[str, str | None] = {}
        for start in range(0, len(rest), MARKED_AT_A_TIME):
            done = await self._replay_some(rest[start : start + MARKED_AT_A_TIME], reach, pace, skipped)
            positions |= {item.position.text: item.to.text for item in done}
        return ReplayResult(matched, len(positions), skipped, positions)

    async def _replay_some(
        self, some: Sequence[Summary], reach: Reach, pace: Pace, skipped: list[Skipped]
    ) -> list[_Done]:
        """What was put on the bus. Whatever happens, that much is marked."""
        done: list[_Done] = []
        try:
            for item in some:
                to = await self._publish(item, reach, skipped)
                if to:
                    done.append(_Done(item.position, item.replays, to, to_milliseconds(self.clock())))
                    if pace.rate_per_second:
                        await asyncio.sleep(1 / pace.rate_per_second)
        finally:
            if done:
                await self._mark(done)
        return done

    async def _publish(self, item: Summary, reach: Reach, skipped: list[Skipped]) -> Position | None:
        dead = await self.turns.run(lambda: original(self.reader.renewed(), item.position, reach))
        if dead is None or dead.envelope is None or self.publisher is None:
            skipped.append(Skipped(item.position.text, "It was erased meanwhile."))
            return None
        headers = (*dead.headers, *replay_headers(item.position, item.replays + 1))
        was_broadcast = any(name == PARTITIONS_HEADER for name, _ in dead.headers)
        partition = item.position.partition if was_broadcast else None  # each partition has its own copy of those
        record = Record(dead.key or b"", dead.envelope, dead.body or b"", headers, partition)
        try:
            return await self.publisher.publish(record)
        except TooLarge as error:
            skipped.append(Skipped(item.position.text, str(error)))
            return None

    async def _mark(self, done: Sequence[_Done]) -> None:
        token = f"replayed-{done[0].position.text}-{done[-1].to.text}-{len(done)}"
        await self.pool.run(lambda client: insert(client, "dead_letter_replays", MARK_COLUMNS, done, token))


def _obstacle(item: Summary, pace: Pace) -> str | None:
    """Why it is not replayed, if it is not."""
    if item.lacks_envelope:
        return "It has no envelope, so it can never become a row."
    if item.replays >= pace.max_replays:
        return f"It has been replayed {item.replays} times: raise max_replays above that to try again."
    return None
