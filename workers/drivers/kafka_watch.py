"""The watch beside the reading: how far the worker is behind, and whether its consumer is stuck.

Both are asked of Kafka itself: a consumer that is stuck would not know. Client libraries have been seen to stop
reading, joining or committing for good without an error; then only a new process helps. An outage of the store is none
of that: while the worker holds records it waits for nobody but the store.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from ledger.clock import Clock
from ledger.errors import LedgerError
from workers.drivers.kafka_intake import Intake
from workers.vitals import Vitals

_ANSWER_SECONDS = 10.0

log = logging.getLogger(__name__)


class ReadingIsStuck(LedgerError):
    """Kafka answers and has more, but nothing arrives."""


@dataclass(slots=True)
class Patience:
    """How long the same thing has been waited for."""

    seconds: float
    monotonic: Callable[[], float]
    _seen: tuple[int, str] | None = None
    _since: float = field(default=0.0)

    def look(self, moves: int, waits_for: str | None) -> None:
        """`moves` counts what has come so far. Raises `ReadingIsStuck` when nothing has for too long."""
        if waits_for is None:
            self._seen = None
        elif self._seen != (moves, waits_for):
            self._seen, self._since = (moves, waits_for), self.monotonic()
        elif self.monotonic() - self._since >= self.seconds:
            raise ReadingIsStuck(
                f"This worker has waited for {waits_for} from Kafka for {self.seconds:g} s, though Kafka answers and"
                " there is more to read. It ends, to be started again; nothing is lost."
            )


async def watch(intake: Intake, vitals: Vitals, clock: Clock, patience: Patience, every_seconds: float) -> None:
    """Keep the lag in `vitals` up to date until cancelled; having none counts as progress. Raises `ReadingIsStuck`."""
    while True:
        vitals.lag, answered = await _look(intake)
        if vitals.lag == 0:
            vitals.last_progress = clock()
        patience.look(intake.moves, intake.waits_for if answered and vitals.lag != 0 else None)
        await asyncio.sleep(every_seconds)


async def _look(intake: Intake) -> tuple[int | None, bool]:
    """The lag, where it can be known, and whether Kafka answered."""
    consumer, partitions = intake.consumer, list(intake.partitions)
    if consumer is None:
        return None, False
    between = intake.epoch is None  # while partitions are away there is no lag; Kafka is only asked for a sign of life
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            ends = await consumer.end_offsets(partitions or [intake.any_partition])
    except (KafkaError, IllegalStateError, TimeoutError) as error:
        log.warning("The lag is not known at the moment.", extra={"error": repr(error)})
        return None, False
    return None if between else await _lag(intake, {at: ends[at] for at in partitions}), True


async def _lag(intake: Intake, ends: dict[TopicPartition, int]) -> int | None:
    assert intake.consumer is not None
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            places = {at: offset for at in ends if (offset := await intake.consumer.committed(at)) is not None}
    except (KafkaError, IllegalStateError, TimeoutError) as error:
        log.warning("The lag is not known at the moment.", extra={"error": repr(error)})
        return None
    return sum(end - places[at] for at, end in ends.items()) if len(places) == len(ends) else None
