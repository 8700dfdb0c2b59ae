"""ClickHouse is unwell: gone, frozen, refusing, or its answer is lost. None of it is a fault of the data."""

from functools import partial

from tests.faults.cluster_run import Hurting, run_on_cluster
from tests.faults.freezing import frozen
from tests.faults.proxy import HALF_CLOSE, PASS, REFUSE, RESET, STALL, Behaviour, cut, http_answer, latency
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.store_errors import INSERTS, store_error


def kill_store(context: RunContext) -> RunReport:
    """Kills, each followed by a start on the same folder."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(3 if context.short else 10):
            hurting.pause(0.5, 2.0)
            hurting.cluster.kill("clickhouse")
            context.fault("killed clickhouse")
            hurting.pause(0.5, 3.0)
            hurting.cluster.restart("clickhouse")
            hurting.revive()

    return run_on_cluster(context, hurt)


def freeze_store(context: RunContext) -> RunReport:
    """It stands still with every connection open."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(2 if context.short else 10):
            hurting.pause(0.5, 3.0)
            with frozen(hurting.cluster.parts["clickhouse"].pid):
                context.fault("froze clickhouse")
                hurting.pause(5.0, 15.0)

    return run_on_cluster(context, hurt)


REFUSALS = (
    ("nobody listens", REFUSE),
    ("connections are reset", RESET),
    ("connections stall", STALL),
    ("instead of answers the stream ends", HALF_CLOSE),
    ("everything is half a second late", latency(0.5)),
    ("503 of a proxy on the way", http_answer(503, b"no upstream\n", "Content-Type: text/plain")),
    ("241, memory limit", store_error(241, "Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)")),
    ("252, too many parts", store_error(252, "Too many parts (3000) in table. Merges are slower than inserts.")),
    ("202, too many queries", store_error(202, "Too many simultaneous queries. Maximum: 100.")),
    ("242, read-only", store_error(242, "Table is in readonly mode. (TABLE_IS_READ_ONLY)")),
    (
        "516, the password is wrong",
        store_error(516, "default: Authentication failed. (AUTHENTICATION_FAILED)", status=403),
    ),
    ("497, the right was taken away", store_error(497, "default: Not enough privileges. (ACCESS_DENIED)", status=403)),
)


def refuse(context: RunContext) -> RunReport:
    """Every way of refusing in turn, in an order of the seed; what has ended by itself is started again."""
    chosen = context.random.sample(REFUSALS, 3 if context.short else len(REFUSALS))

    def hurt(hurting: Hurting) -> None:
        for what, behaviour in chosen:
            hurting.pause(0.5, 2.0)
            context.fault(f"ClickHouse for the workers: {what}")
            with hurting.reviving(context.random.uniform(2.0, 4.0)):
                hurting.cluster.store_link.behave(behaviour)
            hurting.cluster.store_link.behave(PASS)
            hurting.revive()

    return run_on_cluster(context, hurt)


def lose_answers(context: RunContext) -> RunReport:
    """An insert is carried out and the worker does not learn of it, up to three times in a row."""

    def hurt(hurting: Hurting) -> None:
        for _ in range(4 if context.short else 50):
            keep, times = context.random.choice((0, 0, 9, 60)), context.random.randint(1, 3)
            _lose(hurting, cut(keep, only=INSERTS, times=times))
            context.fault(f"{times} answers to inserts cut after {keep} bytes", times)
            _await_batch(hurting)

    return run_on_cluster(context, hurt)


def _lose(hurting: Hurting, behaviour: Behaviour) -> None:
    link = hurting.cluster.store_link
    link.behave(behaviour)
    hurting.await_that(lambda: link.behaviour == PASS, "inserts were tried again")


def _await_batch(hurting: Hurting) -> None:
    """Until a batch is stored whole: else the next cut would hit the same one, whose pauses grow with each attempt."""
    before = hurting.cluster.settled()
    hurting.await_that(lambda: hurting.cluster.settled() > before, "a batch was stored")


_scenario = partial(Scenario, runs=1, short_runs=0, control=False)

SCENARIOS = (
    _scenario("clickhouse-killed", "kill -9 of the store, restart on its folder", run=kill_store),
    _scenario("clickhouse-frozen", "the store stands still for 5-15 s", run=freeze_store),
    _scenario("clickhouse-refusing", "the store refuses in twelve ways; no dead letters", run=refuse),
    _scenario("clickhouse-answer-lost", "the insert is done, its answer is lost", run=lose_answers),
)
