"""From accepted to visible, at a steady 500 reports a second: what a user waits for who looks at once."""

import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench import paced
from tests.bench.bodies import report_body
from tests.bench.cluster import prepared_site
from tests.bench.figures import Figure, Target
from tests.bench.load import Endpoint, request_of
from tests.bench.paced import Address, Follow, PacedJob, PacedOutcome
from tests.bench.plan import Plan
from tests.bench.standalone import running_standalone

PER_SECOND = 500
_CONNECTIONS = 20
_FOLLOWED = 25  # every so-manieth
_WARM_UP_SECONDS = 2.0
_SPARE_SECONDS = 30.0
_AIMS = ((0.50, "p50", Target(at_most=0.5)), (0.99, "p99", Target(at_most=1.5)))


def measured(plan: Plan) -> list[Figure]:
    """The standalone, and ingest, worker and query over Kafka, where there is one."""
    home = plan.home()
    figures = _of_standalone(home, plan)
    return figures + (_of_cluster(home / "cluster", plan, plan.kafka) if plan.kafka else [])


def _of_standalone(home: Path, plan: Plan) -> list[Figure]:
    with running_standalone(home) as product:
        key = product.access().key
        return _figures("standalone", product.url, product.url, key, plan)


def _of_cluster(home: Path, plan: Plan, kafka: str) -> list[Figure]:
    services = ("ingest-api", "workers", "query-api")
    with prepared_site(home, kafka) as site, site.running(*services) as (ingest, _, query):
        urls = [f"http://127.0.0.1:{one.port}" for one in (ingest, query)]
        return _figures("Kafka and worker", urls[0], urls[1], site.key, plan)


def _figures(name: str, ingest_url: str, query_url: str, key: str, plan: Plan) -> list[Figure]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    endpoint = Endpoint(f"{ingest_url}/api/v1/report", "POST", tuple(headers.items()), report_body(plan.body_bytes))
    follow = Follow(_address(query_url), key, _FOLLOWED)
    sent = 0
    for seconds in (_WARM_UP_SECONDS, plan.fresh_seconds):
        job = PacedJob(_address(ingest_url), request_of(endpoint), _CONNECTIONS, PER_SECOND, seconds, follow)
        outcome = paced.outcome(paced.start(job), job)
        sent += outcome.requests - outcome.failures
    wrong = what_is_wrong(outcome, sent, _visible(query_url, headers, sent))
    pace = f"{outcome.requests / outcome.seconds:,.0f} reports/s, {outcome.late} of {outcome.requests} sent late"
    return [
        Figure(
            name=f"freshness, {name}: accepted to visible, {share_name}",
            unit="s",
            ours=share_of(outcome.visible_seconds, share),
            count=len(outcome.visible_seconds),
            seconds=outcome.seconds,
            target=target,
            about=pace,
            wrong=wrong,
        )
        for share, share_name, target in _AIMS
    ]


def _visible(query_url: str, headers: dict[str, str], sent: int) -> int:
    """How many are visible once all are that were sent, or there was time enough: not each one was followed."""
    give_up_at = time.monotonic() + _SPARE_SECONDS
    while True:
        answer = httpx.get(f"{query_url}/api/v1/requests", params={"pageSize": 0}, headers=headers, timeout=60)
        found = int(answer.raise_for_status().json()["totalCount"])
        if found >= sent or time.monotonic() > give_up_at:
            return found
        time.sleep(0.1)


def share_of(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; not a number where there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def what_is_wrong(outcome: PacedOutcome, sent: int, found: int) -> str | None:
    """Refused, lost, doubled or never visible; None when nothing is. Also a load that did not keep its pace."""
    if outcome.failures:
        return f"{outcome.failures} of {outcome.requests} refused"
    if outcome.troubles:
        return f"{len(outcome.troubles)} never visible, such as {outcome.troubles[0]}"
    return None if found == sent else f"{found} visible of {sent} accepted"


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return Address(parts.hostname or "", parts.port or 80)
