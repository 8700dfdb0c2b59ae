"""Poison on the topic while the cluster works: every pill one dead letter, every neighbour in its batch a row."""

import asyncio
import time
from collections.abc import Iterator, Sequence

from ledger.ids import ProjectId
from ledger.keys import KeyRing
from ledger.settings import KafkaSection
from tests.faults.bodies import Prepared
from tests.faults.client import Client
from tests.faults.cluster import PARTITIONS
from tests.faults.cluster_run import DRAIN_SECONDS, ClusterPlan, Hurting, run_on_cluster
from tests.faults.kafka_pills import Batches, Wire, all_pills, good, kafka_pills
from tests.faults.load import LoadPlan
from tests.faults.pills import pills
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.sent import Outcome, Sent
from tests.faults.verdict import Result

_PROJECT = "alpha"
_TURNS = 6
_BESIDE = 20
"""Good records on each side of a pill. With fewer there would be so many dead letters that the product, as it should,
took them for a fault of its own and stopped."""

_LOAD = LoadPlan(senders=6, per_second=60.0)


class OnTheTopic(Client):
    """Tells the ledger of records that are on the topic already."""

    def __init__(self, places: dict[str, str]) -> None:
        super().__init__("http://127.0.0.1:1", _PROJECT, "", 1.0)
        self._places = places

    def send(self, number: int, prepared: Prepared, key: str | None) -> Sent:
        """What is known of it."""
        now = time.time()
        return Sent(
            number=number,
            api=prepared.api,
            project=_PROJECT,
            tag=prepared.tag,
            idempotency_key=key,
            record_id=prepared.record_id,
            position=self._places[prepared.tag],
            body_sha=prepared.body_sha,
            expects=prepared.expects,
            at=now,
            outcome=Outcome.ACK,
            status=200,
            until=now,
        )


def _run(context: RunContext) -> RunReport:
    def hurt(hurting: Hurting) -> None:
        cluster = hurting.cluster
        generation = KafkaSection(bootstrap_servers=cluster.bootstrap_servers).generation
        batches = Batches(cluster.bootstrap_servers, cluster.topic, generation)
        secret = KeyRing(cluster.keys_file).id_secret(ProjectId(_PROJECT))
        corpus = list(all_pills(str(context.number)))
        context.random.shuffle(corpus)
        for turn in range(_TURNS):
            hurting.pause(0.5, 1.5)
            chosen = list(_between_good_ones(context, corpus[turn::_TURNS], secret))
            asyncio.run(batches.send(chosen))
            _tell(hurting, batches, [one for _, records in chosen for one in records])
            context.fault(f"pills, turn {turn + 1}", len(corpus[turn::_TURNS]))
        hurting.pause(1.0, 2.0)

    plan = ClusterPlan(workers=2, load=_LOAD, patience=DRAIN_SECONDS, dead_letters=True)
    report = run_on_cluster(context, hurt, plan)
    if report.notes["ended by themselves"] and report.verdict.result is not Result.CHECK_ERROR:
        report.verdict.mismatches.append("I8 liveness: a service ended by itself")
        report.verdict.result = Result.MISMATCH
    return report


def _between_good_ones(
    context: RunContext, corpus: Sequence[Wire], secret: bytes
) -> Iterator[tuple[int, Sequence[Wire]]]:
    for pill in corpus:
        name = f"{_PROJECT}-log-{context.seed}-beside-{pill.prepared.tag}"
        beside = [good(f"{name}-{n}", secret, context.random) for n in range(2 * _BESIDE)]
        yield context.random.randrange(PARTITIONS), (*beside[:_BESIDE], pill, *beside[_BESIDE:])


def _tell(hurting: Hurting, batches: Batches, records: Sequence[Wire]) -> None:
    client = OnTheTopic(batches.places)
    try:
        for one in records:
            hurting.load.attempt(client, one.prepared, None)
    finally:
        client.close()


SCENARIOS = (
    Scenario(
        "kafka-poison",
        f"{len(pills()) + len(kafka_pills())} pills on the topic, each between good records of its batch",
        3,
        0,
        False,
        _run,
    ),
)
