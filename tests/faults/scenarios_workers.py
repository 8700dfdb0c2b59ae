"""Deaths of our own processes in the cluster: workers and `ingest-api`, killed at random or asked to end."""

from signal import SIGTERM

from tests.faults.cluster_run import DRAIN_SECONDS, ClusterPlan, Hurting, NotRecoveredError, run_on_cluster
from tests.faults.proxy import PASS
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.store_errors import INSERTS, store_error

_END_SECONDS = 60.0


def kill_workers(context: RunContext) -> RunReport:
    """Twenty kills; in every other run there are two workers, so that partitions also move to one that lives."""
    kills, workers = (3 if context.short else 20), 1 + (context.number - 1) % 2

    def hurt(hurting: Hurting) -> None:
        for _ in range(kills):
            hurting.pause(0.3, 2.5)
            name = context.random.choice(hurting.cluster.workers)
            hurting.cluster.kill(name)
            context.fault(f"killed {name}")
            hurting.cluster.restart(name)

    return run_on_cluster(context, hurt, ClusterPlan(workers=workers, patience=DRAIN_SECONDS))


def kill_workers_while_inserts_fail(context: RunContext) -> RunReport:
    """The store reads but takes nothing, and meanwhile the worker is killed from outside, again and again.

    Each time it dies while it tries the same records, which are not at fault: none may become a dead letter.
    """

    def hurt(hurting: Hurting) -> None:
        link = hurting.cluster.store_link
        hurting.pause(1.0, 2.0)
        link.behave(store_error(252, "Too many parts (3000) in table. Merges are slower.", only=INSERTS))
        context.fault("inserts fail: 252, too many parts")
        for _ in range(8):
            hurting.await_hurt(link)
            hurting.cluster.kill("workers")
            context.fault("killed workers")
            hurting.cluster.restart("workers")
        hurting.await_hurt(link)
        link.behave(PASS)

    return run_on_cluster(context, hurt, ClusterPlan(patience=DRAIN_SECONDS))


def kill_ingest(context: RunContext) -> RunReport:
    """Twenty-five kills of the process that accepts."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(3 if context.short else 25):
            hurting.pause(0.2, 1.5)
            hurting.cluster.kill("ingest-api")
            context.fault("killed ingest-api")
            hurting.cluster.restart("ingest-api")
            hurting.await_acknowledged("a kill of ingest-api")

    return run_on_cluster(context, hurt)


def end_in_good_order(context: RunContext) -> RunReport:
    """SIGTERM to workers and `ingest-api` in turn: each ends with 0, and clients see 503 at most."""

    def hurt(hurting: Hurting) -> None:
        for number in range(4 if context.short else 20):
            hurting.pause(0.3, 1.5)
            name = ("ingest-api", "workers", "workers-2")[number % 3]
            hurting.cluster.signal(name, SIGTERM)
            context.fault(f"SIGTERM to {name}")
            code = hurting.cluster.wait_ended(name, _END_SECONDS)
            if code != 0:
                raise NotRecoveredError(f"P2: {name} ended with {code} after SIGTERM")
            hurting.cluster.restart(name)

    return run_on_cluster(context, hurt, ClusterPlan(workers=2, may_answer=(503,)))


SCENARIOS = (
    Scenario(
        "workers-killed-inserts-fail",
        "kill -9 of the worker, again and again, while inserts fail; no dead letters",
        1,
        0,
        control=False,
        run=kill_workers_while_inserts_fail,
    ),
    Scenario("workers-killed", "kill -9 of a worker at random, under load", 5, 0, control=False, run=kill_workers),
    Scenario("ingest-killed", "kill -9 of ingest-api at random, under load", 1, 0, control=False, run=kill_ingest),
    Scenario(
        "services-sigterm",
        "SIGTERM to workers and ingest-api in turn; clients see 503 at most",
        1,
        0,
        control=False,
        run=end_in_good_order,
    ),
)
