"""Kafka goes away: killed and started on its data, frozen, or not there when the services start."""

import time

import httpx

from tests.faults.cluster import Cluster
from tests.faults.cluster_run import Hurting, NotRecoveredError, hurt_and_judge, run_on_cluster
from tests.faults.freezing import frozen
from tests.faults.scenario import PROJECTS, RunContext, RunReport, Scenario

_AWAY_SECONDS = 8.0


def kill_broker(context: RunContext) -> RunReport:
    """Kills of the broker; `ingest-api` stays the same process throughout."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(2 if context.short else 10):
            hurting.pause(1.0, 4.0)
            hurting.cluster.kill("kafka")
            context.fault("killed kafka")
            hurting.pause(0.0, 3.0)
            hurting.cluster.restart("kafka")
            hurting.await_acknowledged("Kafka came back")
            hurting.revive()
        _same_process(hurting)

    return run_on_cluster(context, hurt)


def freeze_broker(context: RunContext) -> RunReport:
    """The broker stands still for five to twenty seconds, with every connection open."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(2 if context.short else 10):
            hurting.pause(1.0, 3.0)
            with frozen(hurting.cluster.parts["kafka"].pid):
                context.fault("froze kafka")
                hurting.pause(5.0, 7.0 if context.short else 20.0)
            hurting.await_acknowledged("Kafka went on")
            hurting.revive()
        _same_process(hurting)

    return run_on_cluster(context, hurt)


def start_without_broker(context: RunContext) -> RunReport:
    """The services start, wait, and say so; then Kafka comes, and they go on by themselves."""
    with Cluster(context.data) as cluster:
        cluster.make_keys()
        cluster.start_stores("clickhouse")
        cluster.operate("migrate", "--wait", "60")
        cluster.start_services()
        context.fault("Kafka is not there")
        _refuses(cluster)
        cluster.start_stores("kafka")
        cluster.operate("topics", "ensure", "--wait", "60")
        cluster.await_services()

        def hurt(hurting: Hurting) -> None:
            hurting.await_acknowledged("Kafka came for the first time")
            hurting.pause(3.0, 5.0)
            if any(part.lives != 1 for part in cluster.parts.values()):
                raise NotRecoveredError("I8 liveness: a service had to be started again when Kafka came")

        return hurt_and_judge(context, cluster, hurt)


def _refuses(cluster: Cluster) -> None:
    """For a while: every report is answered 503, the worker claims no readiness, no service ends.

    `ingest-api` may claim it: a balancer that took every node away would answer for them all.
    """
    until = time.monotonic() + _AWAY_SECONDS
    cluster.parts["query-api"].await_ready()
    headers = {"authorization": f"Bearer {cluster.key(PROJECTS[0])}"}
    while time.monotonic() < until:
        try:
            answer = httpx.post(f"{cluster.url}/api/v1/report", json={}, headers=headers, verify=False, timeout=10.0)
        except httpx.TransportError as error:
            raise AssertionError(f"no answer while Kafka is away: {error!r}") from error
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or "retry-after" not in answer.headers:
            raise AssertionError(f"{answer.status_code} while Kafka is away: {answer.text[:200]}")
        gone = [name for name in ("ingest-api", "query-api", "workers") if not cluster.parts[name].runs]
        if gone or cluster.parts["workers"].ready():
            raise AssertionError(f"while Kafka is away a worker says that it is ready, or these have ended: {gone}")


def _same_process(hurting: Hurting) -> None:
    lives = hurting.cluster.parts["ingest-api"].lives
    if lives != 1:
        raise NotRecoveredError(f"I8 liveness: ingest-api had to be started {lives} times")


SCENARIOS = (
    Scenario("kafka-killed", "kill -9 of the broker, restart on its data", 1, 0, control=False, run=kill_broker),
    Scenario("kafka-frozen", "the broker stands still for 5-20 s", 1, 0, control=False, run=freeze_broker),
    Scenario("kafka-absent", "services start before Kafka is there", 1, 0, control=False, run=start_without_broker),
)
