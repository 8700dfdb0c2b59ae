"""Reports that no broker takes at its defaults: accepted over HTTP, on Kafka by name alone, stored whole."""

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ingest_api.app import create_app
from ingest_api.settings import IngestSettings
from ledger.blobs.obstore import ObstoreBlobs
from ledger.bus import Delivery, Publisher
from ledger.bus.claims import ClaimingPublisher
from ledger.bus.kafka import KafkaPublisher
from ledger.failpoints import arm
from ledger.keys import KeyRing
from ledger.prices.book import current_version
from ledger.report import Claim, decode
from ledger.settings import KafkaSection, KeysSection
from tests.support.chdb_fixtures import with_schema
from tests.support.kafka_broker import BrokerProcess
from tests.support.kafka_reading import everything_in
from tests.support.query_service import QueryService, query_service
from tests.support.working import Remembering, a_worker
from workers.pipeline import process
from workers.receipts import Receipt
from workers.wiring import cluster_deps

pytestmark = pytest.mark.kafka

DEFAULT_BYTES = 1_048_588
"""`max.message.bytes` of a topic that nobody has told anything."""

DEAD_LETTERS = "/api/v1/admin/dead-letters"
_AGAIN_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0


def a_report(size: int) -> bytes:
    """Nothing that compression could make much smaller; the same for the same size."""
    text = b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()
    return json.dumps({"requestedAt": 1_750_000_000_000, "reqPayload": {"model": "gpt-4o", "input": text}}).encode()


def request_of(body: bytes) -> str:
    """The request within a report, as it was sent."""
    return body[body.index(b'"reqPayload": ') + len(b'"reqPayload": ') : -1].decode()


@dataclass(frozen=True, slots=True)
class Ledger:
    """All three services in this process, over a real Kafka."""

    section: KafkaSection
    blobs_url: str
    app: Any
    query: QueryService

    async def report(self, body: bytes, key: str) -> httpx.Response:
        """The answer to a client that asks again under the same key for as long as it is told to."""
        headers = {"Authorization": f"Bearer {self.query.keys.ingest_only}", "Idempotency-Key": key}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    answer = await client.post("/api/v1/report", content=body, headers=headers)
                    if answer.status_code != 503:
                        return answer
                    await asyncio.sleep(_AGAIN_SECONDS)

    async def work_off(self, count: int) -> None:
        """Run a worker until it has stored so many deliveries."""
        deps = cluster_deps(self.query.pool, ObstoreBlobs(self.blobs_url), self.section.topic)
        remembering = Remembering()

        async def handle(chunk: Sequence[Delivery], still_ours: Callable[[], bool]) -> Receipt:
            receipt = await process(deps, chunk, still_ours)
            await remembering(chunk, still_ours)
            return receipt

        async with a_worker(self.section, handle) as worker:
            stored = asyncio.create_task(remembering.until(lambda seen: len(seen.stored) >= count))
            await asyncio.wait({stored, worker.task}, return_when=asyncio.FIRST_COMPLETED)
            if worker.task.done():
                stored.cancel()
                await worker.ended()
            await stored

    async def request(self, record_id: str) -> str:
        """The stored request, as it was sent."""
        answer = await self.query.get(f"/api/v1/requests/{record_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["raw_request"])

    async def dead_letters(self) -> list[dict[str, Any]]:
        """Those that wait to be replayed."""
        answer = await self.query.get(DEAD_LETTERS, self.query.keys.admin_of_all, state="waiting")
        found: list[dict[str, Any]] = answer.json()["dead_letters"]
        return found

    async def replay(self) -> None:
        """Replay them all."""
        async with self.query.http() as client:
            key = {"Authorization": self.query.keys.admin_of_all}
            answer = await client.post(f"{DEAD_LETTERS}/replay", json={"reason": "claim_missing"}, headers=key)
        assert answer.status_code == 200, answer.text

    async def claims(self) -> list[str]:
        """The names of all claims in the blob store."""
        parts = [part async for part in ObstoreBlobs(self.blobs_url).claims()]
        return [claim.name for part in parts for claim in part]


@pytest.fixture
async def section(kafka_broker: BrokerProcess) -> KafkaSection:
    """Settings for a new topic that takes what brokers take at their defaults."""
    name, servers = f"large-{uuid4().hex[:12]}", kafka_broker.bootstrap_servers
    section = KafkaSection(servers, topic=name, group=f"{name}-workers", partitions=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    configs = {"max.message.bytes": str(DEFAULT_BYTES)}
    await admin.create_topics([NewTopic(name, section.partitions, 1, topic_configs=configs)])
    await admin.close()
    return section


@asynccontextmanager
async def started(section: KafkaSection, folder: Path, dsn: str, *, with_blobs: bool) -> AsyncIterator[Ledger]:
    """A ledger whose publisher is running."""
    blobs_url = (folder / "blobs").as_uri()
    (folder / "blobs").mkdir()
    kafka = KafkaPublisher(section)
    claiming = ClaimingPublisher(kafka, ObstoreBlobs(blobs_url), section.max_record_bytes)
    publisher: Publisher = claiming if with_blobs else kafka
    with query_service(with_schema(dsn), folder, publisher=publisher) as query:
        settings = IngestSettings(section, KeysSection(query.keys.file))
        ring = KeyRing(query.keys.file)
        app = create_app(settings, publisher=publisher, keys=ring, price_version=current_version())
        await publisher.start()
        try:
            yield Ledger(section, blobs_url, app, query)
        finally:
            await publisher.close()


@pytest.fixture
async def ledger(section: KafkaSection, tmp_path: Path, chdb_dsn: str) -> AsyncIterator[Ledger]:
    async with started(section, tmp_path, chdb_dsn, with_blobs=True) as ledger:
        yield ledger


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    arm("")


async def test_a_large_report_is_accepted_and_stored_whole_over_a_topic_of_default_limits(ledger: Ledger) -> None:
    body, small = a_report(20_000_000), a_report(500_000)
    answers = [await ledger.report(body, "large"), await ledger.report(body, "large"), await ledger.report(small, "s")]
    assert [answer.status_code for answer in answers] == [200] * 3
    ids = [answer.headers["LLMLedger-Log-Id"] for answer in answers]
    assert ids[0] == ids[1] != ids[2]
    on_the_bus = await everything_in(ledger.section)
    assert max(len(delivery.body or b"") for delivery in on_the_bus) == len(small)
    await ledger.work_off(3)
    assert await ledger.dead_letters() == []
    assert [await ledger.request(ids[0]) == request_of(body), await ledger.request(ids[2]) == request_of(small)] == [
        True,
        True,
    ]
    assert len(await ledger.query.ids()) == 2


async def test_another_large_body_under_the_same_key_never_takes_the_place_of_the_first(ledger: Ledger) -> None:
    first, other = a_report(2_000_000), a_report(2_000_004)
    answers = [await ledger.report(first, "order 17"), await ledger.report(other, "order 17")]
    await ledger.work_off(2)
    assert [item["reason"] for item in await ledger.dead_letters()] == ["idempotency_key_reused"]
    assert await ledger.request(answers[0].headers["LLMLedger-Log-Id"]) == request_of(first)


async def test_a_claim_that_vanished_makes_a_dead_letter_which_is_replayed_once_it_is_back(ledger: Ledger) -> None:
    body, blobs = a_report(2_000_000), ObstoreBlobs(ledger.blobs_url)
    answer = await ledger.report(body, "order 17")
    (name,) = await ledger.claims()
    await blobs.delete_claim(name)
    await ledger.work_off(1)
    (dead,) = await ledger.dead_letters()
    assert (dead["reason"], dead["position"]) == ("claim_missing", answer.headers["LLMLedger-Position"])
    await ledger.replay()
    await ledger.work_off(1)  # it is still gone
    assert [item["attempts"] for item in await ledger.dead_letters()] == [2]
    await blobs.put_claim(name, body)
    await ledger.replay()
    await ledger.work_off(1)
    assert await ledger.dead_letters() == []
    assert await ledger.request(answer.headers["LLMLedger-Log-Id"]) == request_of(body)


@pytest.mark.usefixtures("_disarmed")
async def test_a_crash_between_claim_and_record_leaves_a_claim_alone_and_the_retry_is_stored(ledger: Ledger) -> None:
    body = a_report(2_000_000)
    arm("A1.claim:raise@1")
    assert (await ledger.report(body, "order 17")).status_code == 500
    assert len(await ledger.claims()) == 1
    assert await everything_in(ledger.section) == []
    answer = await ledger.report(body, "order 17")
    assert answer.status_code == 200
    await ledger.work_off(1)
    assert await ledger.request(answer.headers["LLMLedger-Log-Id"]) == request_of(body)
    (sent,) = await everything_in(ledger.section)
    claim = decode(sent.envelope or b"").blob
    assert isinstance(claim, Claim)
    assert claim.name in await ledger.claims()


async def test_without_a_blob_store_the_limit_is_named_to_whoever_goes_beyond_it(
    section: KafkaSection, tmp_path: Path, chdb_dsn: str
) -> None:
    async with started(section, tmp_path, chdb_dsn, with_blobs=False) as ledger:
        assert (await ledger.report(a_report(500_000), "small")).status_code == 200
        answer = await ledger.report(a_report(1_000_000), "large")
    assert answer.status_code == 413
    assert answer.json()["code"] == "PAYLOAD_TOO_LARGE"
    assert str(section.max_record_bytes) in answer.json()["message"]


async def test_records_of_before_that_are_larger_than_the_limit_are_still_read(
    kafka_section_without_claims: KafkaSection, tmp_path: Path, chdb_dsn: str
) -> None:
    body = a_report(3_000_000)
    async with started(kafka_section_without_claims, tmp_path, chdb_dsn, with_blobs=False) as ledger:
        answer = await ledger.report(body, "large")
        assert answer.status_code == 200
        assert await ledger.claims() == []
        now = replace(ledger, section=replace(ledger.section, max_record_bytes=KafkaSection("").max_record_bytes))
        await now.work_off(1)
        assert await now.request(answer.headers["LLMLedger-Log-Id"]) == request_of(body)
