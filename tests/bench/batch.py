"""Many reports in one request, beside the same reports one by one: how much the request itself costs."""

import http.client
import json
from contextlib import AbstractContextManager

from tests.bench.bodies import batch_body, report_body
from tests.bench.figures import Figure, Target
from tests.bench.ingest_server import REPORT_PATH
from tests.bench.ingest_service import Service, Track, in_turns, running_service
from tests.bench.plan import CONNECTIONS, Plan

BATCH_PATH, LINES = "/api/v1/reports", "application/x-ndjson"
_IN_A_BATCH = {100: CONNECTIONS, 1000: 4}  # connections: what is under way must fit the memory that bodies may take
_AIM = Target(at_least=4.0)


class NotAllAccepted(Exception):
    """A report of a batch was not accepted, or has no answer of its own."""


def measured(plan: Plan) -> list[Figure]:
    """Batches of a hundred and of a thousand, on Kafka where there is one, and on the SQLite log."""
    home = plan.home()
    figures = _on_a_bus("SQLite log", plan, running_service(home / "log"))
    return figures + (_on_a_bus("Kafka", plan, running_service(home / "kafka", plan.kafka)) if plan.kafka else [])


def _on_a_bus(name: str, plan: Plan, running: AbstractContextManager[Service]) -> list[Figure]:
    with running as service:
        single = Track(service, REPORT_PATH, report_body(plan.body_bytes))
        batches = [
            Track(service, BATCH_PATH, batch_body(plan.body_bytes, items), items, connections, LINES)
            for items, connections in _IN_A_BATCH.items()
        ]
        for track in batches:
            check_answer(track)
        in_turns([single, *batches], plan)
    return [_figure(name, track, single, _AIM if track.items == min(_IN_A_BATCH) else None) for track in batches]


def check_answer(track: Track) -> None:
    """Send it once and look at every report's answer. Raises `NotAllAccepted`."""
    status, answer = track.service.ask("POST", track.path, track.body, track.content_type)
    if status != http.client.OK:
        raise NotAllAccepted(f"{status}: {answer[:500]!r}")
    results = json.loads(answer)["results"]
    failed = [result for result in results if result.get("error")]
    if failed or len(results) != track.items:
        raise NotAllAccepted(f"{len(results)} answers for {track.items} reports, {len(failed)} failed: {failed[:1]}")
    track.service.accepted += track.items


def _figure(name: str, batch: Track, single: Track, target: Target | None) -> Figure:
    return Figure(
        name=f"batch of {batch.items:,}, {name}: reports accepted",
        unit="1/s",
        ours=batch.rate,
        limit_name="the endpoint for a single report",
        limit=single.rate,
        count=batch.count,
        seconds=batch.seconds,
        cpu_us=batch.cpu_us,
        limit_cpu_us=single.cpu_us,
        target=target,
    )
