"""Rows per second from a full bus until they are listed, beside inserting the same rows when they are ready.

A store with many rows in it is measured beside an empty one: nothing on this path may grow with what is stored.
"""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from deploy.data_folder import DataFolder
from ledger.bus import Record
from tests.bench.bodies import record
from tests.bench.figures import Figure, Target
from tests.bench.ingest_server import kafka_section
from tests.bench.plan import Plan
from tests.bench.working import (
    Speed,
    Workplace,
    insert_ready,
    ready_batches,
    through_kafka,
    through_sqlite_log,
)

_READY, _LOG, _KAFKA = "ready", "SQLite log", "Kafka"
_AIM = Target(at_least=0.50)


def measured(plan: Plan) -> list[Figure]:
    """Each bus beside the limit, in turns; then the log's way into a store that holds many rows."""
    return asyncio.run(_measured(plan))


async def _measured(plan: Plan) -> list[Figure]:
    data = DataFolder(plan.home())
    data.make()
    data.prepare()
    records = [record(number, plan.body_bytes) for number in range(plan.rows)]
    totals = await _in_turns(data, records, plan)
    into_many = Speed()
    into_many.add(await through_sqlite_log(Workplace(data, "filled", plan.stored), records))
    figures = [_figure(f"worker, {name}: rows listed", totals[name], totals[_READY]) for name in _ways(plan)]
    return [*figures, _grown(plan.stored, into_many, totals[_LOG])]


async def _in_turns(data: DataFolder, records: Sequence[Record], plan: Plan) -> dict[str, Speed]:
    batches = await ready_batches(records)
    totals = {name: Speed() for name in (_READY, *_ways(plan))}
    for turn in range(plan.rounds):
        totals[_READY].add(await insert_ready(Workplace(data, f"ready_{turn}"), batches))
        totals[_LOG].add(await through_sqlite_log(Workplace(data, f"log_{turn}"), records))
        if plan.kafka:
            section = kafka_section(plan.kafka, f"bench-{uuid4().hex[:12]}")
            totals[_KAFKA].add(await through_kafka(Workplace(data, f"kafka_{turn}"), records, section))
    return totals


def _ways(plan: Plan) -> tuple[str, ...]:
    return (_LOG, _KAFKA) if plan.kafka else (_LOG,)


def _figure(name: str, ours: Speed, limit: Speed) -> Figure:
    return Figure(
        name=name,
        unit="1/s",
        ours=ours.rate,
        limit_name="the same rows, ready, through the same client",
        limit=limit.rate,
        count=round(ours.rows),
        seconds=ours.seconds,
        cpu_us=ours.cpu_us,
        limit_cpu_us=limit.cpu_us,
        target=_AIM,
    )


def _grown(stored: int, ours: Speed, empty: Speed) -> Figure:
    return Figure(
        name=f"worker, {_LOG}, {stored:,} rows stored before",
        unit="1/s",
        ours=ours.rate,
        limit_name="the same into an empty store",
        limit=empty.rate,
        count=round(ours.rows),
        seconds=ours.seconds,
        cpu_us=ours.cpu_us,
        limit_cpu_us=empty.cpu_us,
    )
