"""The most memory that each service of the cluster has taken at once, in the operating system's own accounting.

Ingest keeps a thousand connections open, each of which reports twice a second; the worker empties a full topic as fast
as it can. The standalone's memory at full load is measured where it is under full load: with `standalone`.
"""

import asyncio
import sys
import time
from pathlib import Path

import httpx

from ledger.settings import KafkaSection
from tests.bench import paced
from tests.bench.bodies import record, report_body
from tests.bench.cluster import Site, prepared_site
from tests.bench.figures import Figure, Target
from tests.bench.load import Endpoint, request_of
from tests.bench.paced import Address, PacedJob
from tests.bench.plan import Plan
from tests.bench.processes import peak_mb
from tests.bench.working import fill_topic

CONNECTIONS = 1000
_PER_SECOND = 2000  # of all connections together
_SECONDS = 8.0
_INGEST_MB, _WORKER_MB = 250.0, 500.0
_WORK_SECONDS = 180.0


def measured(plan: Plan) -> list[Figure]:
    """Ingest under its connections, then the worker on a full topic: of reports of the bench's own, and of ingest's."""
    home = plan.home()
    if not plan.kafka or not Path("/proc/self/status").exists():
        sys.stderr.write("memory is not measured: it needs Kafka and a system that tells the memory of a process.\n")
        return []
    with prepared_site(home / "cluster", plan.kafka) as site:
        ingest, accepted = _of_ingest(site, plan)
        return [ingest, _of_worker(site, plan, accepted)]


def _of_ingest(site: Site, plan: Plan) -> tuple[Figure, int]:
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}
    with site.running("ingest-api") as (service,):
        url = f"http://127.0.0.1:{service.port}/api/v1/report"
        endpoint = Endpoint(url, "POST", tuple(headers.items()), report_body(plan.body_bytes))
        address = Address("127.0.0.1", service.port)
        job = PacedJob(address, request_of(endpoint), CONNECTIONS, _PER_SECOND, _SECONDS)
        outcome = paced.outcome(paced.start(job), job)
        peak = peak_mb(service.pid)
    figure = Figure(
        name=f"memory, ingest: {CONNECTIONS:,} open connections",
        unit="MB",
        ours=peak or float("nan"),
        count=outcome.requests,
        seconds=outcome.seconds,
        target=Target(at_most=_INGEST_MB),
        about=f"{outcome.requests / outcome.seconds:,.0f} reports/s",
        wrong=f"{outcome.failures} of {outcome.requests} refused" if outcome.failures else None,
    )
    return figure, outcome.requests - outcome.failures


def _of_worker(site: Site, plan: Plan, accepted: int) -> Figure:
    servers = site.settings["LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS"]
    section = KafkaSection(servers, topic=site.topic, partitions=site.partitions)
    asyncio.run(fill_topic(section, [record(number, plan.body_bytes) for number in range(plan.rows)]))
    wanted = accepted + plan.rows
    with site.running("query-api", "workers") as (query, worker):
        started = time.monotonic()
        found = _await_rows(f"http://127.0.0.1:{query.port}", site.key, wanted)
        seconds, peak = time.monotonic() - started, peak_mb(worker.pid)
    return Figure(
        name="memory, worker: at full load",
        unit="MB",
        ours=peak or float("nan"),
        count=found,
        seconds=seconds,
        target=Target(at_most=_WORKER_MB),
        about="a full topic, ClickHouse over HTTP",
        wrong=None if found == wanted else f"{found} visible of {wanted} accepted",
    )


def _await_rows(url: str, key: str, wanted: int) -> int:
    """How many are visible once all are, or the time is over."""
    found, give_up_at = 0, time.monotonic() + _WORK_SECONDS
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        while found < wanted and time.monotonic() < give_up_at:
            time.sleep(0.5)
            answer = client.get("/api/v1/requests", params={"pageSize": 0})
            found = int(answer.raise_for_status().json()["totalCount"])
    return found
