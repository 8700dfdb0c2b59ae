"""The worker over Kafka: from waiting for the broker to leaving the group.

What FastStream and aiokafka would do on an error is to log it and go on, so that a later commit covers records that
nobody stored. Here any error ends the worker; what was not committed is read again after the restart.
"""

import asyncio
import logging
from typing import Any

from faststream.kafka import KafkaBroker

from ledger.bus.kafka_connection import require_codecs
from ledger.clock import system_clock
from ledger.failpoints import failpoint
from ledger.settings import BatchSection, KafkaSection
from workers.drivers.kafka_intake import Handle, Intake, IntakePlan
from workers.drivers.kafka_lag import watch_lag
from workers.drivers.kafka_start import reading_can_begin
from workers.drivers.kafka_subscriber import Pace, pace_of, subscribed
from workers.vitals import Vitals

_FENCE_SECONDS = 5.0  # kept of the rebalance timeout, so that the group does not lose patience while we finish

log = logging.getLogger(__name__)


async def run_kafka_worker(
    section: KafkaSection,
    batch: BatchSection,
    handle: Handle,
    *,
    stop: asyncio.Event,
    vitals: Vitals | None = None,
    pace: Pace | None = None,
) -> None:
    """Read until `stop` is set, then store and commit what was read. Raises whatever went wrong first.

    Waits for Kafka and for the topic. Raises `Misconfigured` when the topic has another number of partitions.
    """
    require_codecs()
    pace = pace or pace_of(section)
    vitals = vitals or Vitals()
    if not await reading_can_begin(section, stop):
        return
    plan = IntakePlan(section.topic, batch, revoke_seconds=pace.rebalance_ms / 1000 - _FENCE_SECONDS)
    intake = Intake(plan, handle, vitals)
    broker = await subscribed(section, intake, pace)
    storing = asyncio.create_task(intake.run(), name="kafka-storing")
    try:
        await _read_until(stop, broker, intake, vitals, pace)
    finally:
        vitals.ready = False
        await _end(storing)
        await _leave(broker, pace)
    if intake.failure.done():
        raise intake.failure.result()


async def _read_until(stop: asyncio.Event, broker: KafkaBroker, intake: Intake, vitals: Vitals, pace: Pace) -> None:
    stopping = asyncio.create_task(stop.wait(), name="kafka-stop")
    starting = asyncio.create_task(broker.start(), name="kafka-start")  # is done when the group has let us in
    watching = asyncio.create_task(_watch(starting, intake, vitals, pace), name="kafka-lag")
    try:
        await _first_of(watching, stopping, intake.failure)
        if watching.done():
            await watching  # joining the group failed, or the watch did
        await _drain(intake, pace)
    finally:
        await _end(watching, starting, stopping)


async def _watch(starting: asyncio.Task[None], intake: Intake, vitals: Vitals, pace: Pace) -> None:
    await starting
    vitals.ready = True
    await watch_lag(intake, vitals, system_clock, pace.lag_seconds)


async def _drain(intake: Intake, pace: Pace) -> None:
    failpoint("B7")
    try:
        async with asyncio.timeout(pace.drain_seconds):
            await intake.drain()
    except TimeoutError:
        log.warning("Stopped before everything read was stored. It is read again after the restart.")


async def _leave(broker: KafkaBroker, pace: Pace) -> None:
    try:
        async with asyncio.timeout(pace.leave_seconds):
            await broker.stop()
    except TimeoutError:
        log.warning("Kafka did not confirm that this worker leaves its group; its session will run out.")


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that run beside the reading, and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
