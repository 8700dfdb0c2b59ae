"""The worker over Kafka: from waiting for the broker to leaving the group.

What FastStream and aiokafka would do on an error is to log it and go on, so that a later commit covers records that
nobody stored. Here any error ends the worker; what was not committed is read again after the restart.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from faststream.kafka import KafkaBroker

from ledger.bus.kafka_connection import require_codecs
from ledger.clock import system_clock
from ledger.failpoints import failpoint
from ledger.settings import BatchSection, KafkaSection
from workers.drivers.kafka_intake import Handle, Intake, IntakePlan, SetAside
from workers.drivers.kafka_start import Beginning, StoredUpTo, reading_can_begin
from workers.drivers.kafka_subscriber import Pace, pace_of, subscribed
from workers.drivers.kafka_watch import Patience, ReadingIsStuck, watch
from workers.vitals import Vitals

_FENCE_SECONDS = 5.0  # kept of the rebalance timeout, so that the group does not lose patience while we finish

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What a worker of the product has beside its handle; a test may do without."""

    stored_up_to: StoredUpTo | None = None
    set_aside: SetAside | None = None
    resume_after_loss: bool = False


async def run_kafka_worker(
    section: KafkaSection,
    batch: BatchSection,
    handle: Handle,
    *,
    stop: asyncio.Event,
    vitals: Vitals | None = None,
    pace: Pace | None = None,
    safeguards: Safeguards = Safeguards(),
) -> None:
    """Read until `stop` is set, then store and commit what was read. Raises whatever went wrong first.

    Waits for Kafka, the topic and the store. Raises `Misconfigured` when the topic is not the one of the settings or
    not the one that was stored before, `RecordsLost` when there is a gap, `ReadingIsStuck` when nothing arrives.
    """
    require_codecs()
    pace = pace or pace_of(section)
    vitals = vitals or Vitals()
    if not await reading_can_begin(Beginning(section, safeguards.stored_up_to, safeguards.resume_after_loss), stop):
        return
    finishing = pace.rebalance_ms / 1000 - _FENCE_SECONDS
    plan = IntakePlan(section.topic, batch, revoke_seconds=finishing, set_aside=safeguards.set_aside)
    intake = Intake(plan, handle, vitals)
    broker = await subscribed(section, intake, pace)
    storing = asyncio.create_task(intake.run(), name="kafka-storing")
    try:
        await _read_until(stop, broker, intake, vitals, pace)
    finally:
        vitals.ready = False
        await _end(storing)
        await intake.take_back_marks()
        await _leave(broker, pace)
    if intake.failure.done():
        raise intake.failure.result()


async def _read_until(stop: asyncio.Event, broker: KafkaBroker, intake: Intake, vitals: Vitals, pace: Pace) -> None:
    stopping = asyncio.create_task(stop.wait(), name="kafka-stop")
    starting = asyncio.create_task(broker.start(), name="kafka-start")  # is done when the group has let us in
    watching = asyncio.create_task(_watch(starting, intake, vitals, pace), name="kafka-watch")
    try:
        await _first_of(watching, stopping, intake.failure)
        vitals.failure = _failure_of(watching, intake)
        if watching.done():
            await watching  # joining the group failed, or nothing arrives
        await _drain(intake, pace)
    finally:
        await _end(watching, starting, stopping)


def _failure_of(watching: asyncio.Task[None], intake: Intake) -> str | None:
    errors = [intake.failure.result() if intake.failure.done() else None]
    if watching.done() and not watching.cancelled():
        errors.append(watching.exception())  # type: ignore[arg-type]
    return next((f"{type(error).__name__}: {error}" for error in errors if error), None)


async def _watch(starting: asyncio.Task[None], intake: Intake, vitals: Vitals, pace: Pace) -> None:
    try:
        async with asyncio.timeout(pace.stuck_seconds):
            await asyncio.shield(starting)
    except TimeoutError:
        raise ReadingIsStuck(f"The group has not let this worker in for {pace.stuck_seconds:g} s.") from None
    vitals.ready = True
    await watch(intake, vitals, system_clock, Patience(pace.stuck_seconds, time.monotonic), pace.lag_seconds)


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
