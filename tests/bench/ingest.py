"""Accepted reports per second, on each bus, beside an endpoint of the same app that only reads the body.

The log with many records in it is measured beside an empty one: nothing on this path may grow with what is stored.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ledger.bus import Record
from ledger.bus.sqlite_log import SqliteLog
from tests.bench.bodies import anthropic_body, entry_body, pezzo_body, record, report_body
from tests.bench.figures import Figure, Target
from tests.bench.ingest_server import CONSTANT_PATH, ORDINARY_PATH, REPORT_PATH
from tests.bench.ingest_service import LogFile, Track, in_turns, running_service
from tests.bench.plan import Plan

_CONSTANT = "the same app, an endpoint routed as ours that reads the body and answers a constant"
_ORDINARY = "the same app, an ordinary Litestar endpoint that reads the body and answers a constant"
_OTHERS = (
    ("report-anthropic", "/api/v1/report-anthropic", anthropic_body),
    ("Pezzo report", "/api/reporting/v2/request", pezzo_body),
    ("log insert", "/api/logs/insert", entry_body),
)


@dataclass(frozen=True, slots=True)
class _Aims:
    rate: Target
    cpu: Target | None


_KAFKA_AIMS = _Aims(Target(at_least=0.75), Target(at_most=1.4))
_LOG_AIMS = _Aims(Target(at_least=0.70), None)
_OTHER_AIMS = _Aims(Target(at_least=0.65), None)


def measured(plan: Plan) -> list[Figure]:
    """Every endpoint over Kafka, where there is one, and the report over the SQLite log."""
    home = plan.home()
    figures = _on_a_bus("Kafka", home / "kafka", plan, _KAFKA_AIMS) if plan.kafka else []
    figures += _over_a_log(home, plan)
    if not plan.kafka:
        known = {figure.name for figure in figures}
        others = _on_a_bus("SQLite log", home / "others", plan, _LOG_AIMS)
        figures += [figure for figure in others if figure.name not in known]
    return figures


def _on_a_bus(name: str, folder: Path, plan: Plan, aims: _Aims) -> list[Figure]:
    """Each family's endpoint beside the constant one, which gets a body of its own size."""
    with running_service(folder, plan.kafka) as service:
        constant = Track(service, CONSTANT_PATH, report_body(plan.body_bytes))
        report = Track(service, REPORT_PATH, report_body(plan.body_bytes))
        ordinary = Track(service, ORDINARY_PATH, report_body(plan.body_bytes))
        others = [Track(service, path, body(plan.body_bytes)) for _, path, body in _OTHERS]
        in_turns([report, constant, ordinary, *others], plan)
    figures = []
    for limit, limit_name in ((constant, _CONSTANT), (ordinary, _ORDINARY)):
        figures += _figures(f"ingest, {name}: report", report, limit, aims, limit_name)
        for (kind, _, _), track in zip(_OTHERS, others, strict=True):
            figures += _figures(f"ingest, {name}: {kind}", track, limit, _OTHER_AIMS, limit_name)
    return figures


def _over_a_log(home: Path, plan: Plan) -> list[Figure]:
    name = "ingest, SQLite log: report"
    log = LogFile(home / "filled.sqlite")
    asyncio.run(_begin(log))
    log.copy_up_to(plan.stored)
    with running_service(home / "empty") as empty, running_service(home / "filled", log=log) as filled:
        report = Track(empty, REPORT_PATH, report_body(plan.body_bytes))
        constant = Track(empty, CONSTANT_PATH, report_body(plan.body_bytes))
        ordinary = Track(empty, ORDINARY_PATH, report_body(plan.body_bytes))
        after_many = Track(filled, REPORT_PATH, report_body(plan.body_bytes))
        in_turns([report, constant, ordinary, after_many], plan)
    grown = Figure(
        name=f"{name}, {plan.stored:,} records on the log",
        unit="1/s",
        ours=after_many.rate,
        limit_name="the same with an empty log",
        limit=report.rate,
        count=after_many.count,
        seconds=after_many.seconds,
        cpu_us=after_many.cpu_us,
        limit_cpu_us=report.cpu_us,
    )
    beside = _figures(name, report, constant, _LOG_AIMS, _CONSTANT)
    return [*beside, *_figures(name, report, ordinary, _LOG_AIMS, _ORDINARY), grown]


async def _begin(file: LogFile) -> None:
    log = SqliteLog(file.path)
    whole = record(0, 0)
    await log.publish(
        Record(whole.key, whole.envelope, b"{}")
    )  # nobody reads it: what may matter is how many there are
    await log.close()


def _figures(name: str, ours: Track, limit: Track, aims: _Aims, limit_name: str) -> list[Figure]:
    rate = Figure(
        name=f"{name}, accepted",
        unit="1/s",
        ours=ours.rate,
        limit_name=limit_name,
        limit=limit.rate,
        count=ours.count,
        seconds=ours.seconds,
        cpu_us=ours.cpu_us,
        limit_cpu_us=limit.cpu_us,
        target=aims.rate,
    )
    if aims.cpu is None:
        return [rate]
    cpu = Figure(
        name=f"{name}, CPU per request",
        unit="us",
        ours=ours.cpu_us,
        limit_name=limit_name,
        limit=limit.cpu_us,
        count=ours.count,
        target=aims.cpu,
    )
    return [rate, cpu]
