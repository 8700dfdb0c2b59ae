"""How far a worker is behind, asked of Kafka itself: a consumer that is stuck would not know."""

import asyncio
import logging

from aiokafka.errors import IllegalStateError, KafkaError

from ledger.clock import Clock
from workers.drivers.kafka_intake import Intake
from workers.vitals import Vitals

_ANSWER_SECONDS = 10.0

log = logging.getLogger(__name__)


async def watch_lag(intake: Intake, vitals: Vitals, clock: Clock, every_seconds: float) -> None:
    """Keep the lag in `vitals` up to date until cancelled; having none counts as progress."""
    while True:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                vitals.lag = await _lag(intake)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            vitals.lag = None
            log.warning("The lag is not known at the moment.", extra={"error": repr(error)})
        if vitals.lag == 0:
            vitals.last_progress = clock()
        await asyncio.sleep(every_seconds)


async def _lag(intake: Intake) -> int | None:
    if intake.consumer is None:
        return None
    ends = await intake.consumer.end_offsets(list(intake.partitions))
    places = {at: offset for at in ends if (offset := await intake.consumer.committed(at)) is not None}
    return sum(end - places[at] for at, end in ends.items()) if len(places) == len(ends) else None
