"""One producer and its lanes, from connecting to the first failure."""

import asyncio
from contextlib import suppress
from typing import Any

from ledger.bus import Record
from ledger.bus.group_commit import GroupCommit, Held
from ledger.bus.kafka_lanes import Lane, LanePlan, Outcome
from ledger.bus.kafka_producers import release, when_it_ends


class Session:
    """Owns a connected producer: whoever makes a session closes it."""

    def __init__(self, producer: Any, plan: LanePlan, partitions: int, held: Held) -> None:
        self._producer = producer
        self._failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.lanes: list[GroupCommit[Record, Outcome]] = [
            GroupCommit(
                Lane(plan, partition, producer, self._note_failure).commit,
                max_bytes=plan.batch_bytes,
                deadline=plan.deadline_seconds,
                held=held,
            )
            for partition in range(partitions)
        ]
        when_it_ends(producer, self._note_failure)

    async def until_failed(self) -> Exception:
        """The error of the first batch that failed: from then on the producer's sequence numbers may have a gap.

        Or that the producer has ended by itself.
        """
        return await asyncio.shield(self._failure)

    async def close(self, grace_seconds: float) -> None:
        """Give the lanes this long to empty themselves, answer whoever still waits, and let go of the producer.

        May be called again, also after an earlier call was cancelled.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await asyncio.gather(*(lane.until_idle() for lane in self.lanes))
        await asyncio.gather(*(lane.abort() for lane in self.lanes))
        await release(self._producer)

    def _note_failure(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_result(error)
