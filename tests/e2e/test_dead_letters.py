"""Dead letters as an operator meets them: listed, shown and replayed by command, whatever runs and however."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.bus.replays import REPLAY_HEADER
from ledger.clock import system_clock
from ledger.settings import KafkaSection
from ledger.store.clickhouse import ClickHousePool
from tests.support.access import Access, at_last
from tests.support.chdb_fixtures import with_schema
from tests.support.child_process import run_command, succeeded
from tests.support.clickhouse_fixtures import fresh_database
from tests.support.events import a_delivery
from tests.support.kafka_reading import everything_in
from tests.support.standalone_process import start_standalone
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine

PATH = "/api/v1/admin/dead-letters"


def a_report(model: str) -> dict[str, Any]:
    return {"requestedAt": 1_750_000_000_000, "reqPayload": {"model": model}, "statusCode": 200}


def reported_twice(access: Access) -> httpx.Response:
    """Two bodies under one idempotency key: the second answer, whose record dies."""
    headers = {"Idempotency-Key": "order 17"}
    access.report(a_report("gpt-4o"), headers)
    return access.post("/api/v1/report", a_report("gpt-4"), headers)


def wait_for_deaths(access: Access, attempts: int) -> dict[str, Any]:
    """The project's only dead letter, once it has died so often."""
    found: list[dict[str, Any]] = []

    def died() -> bool:
        found[:] = access.get(PATH).json()["dead_letters"]
        return bool(found) and found[0]["attempts"] == attempts

    assert at_last(died), found
    (item,) = found
    return item


def by_command(home: Path, *words: str) -> Any:
    return json.loads(succeeded(["dlq", *words, "--json"], home))


def test_a_record_that_cannot_be_stored_is_found_and_replayed_and_nothing_else_is_touched(
    spare: Access, tmp_path: Path
) -> None:
    answer = reported_twice(spare)
    dead = wait_for_deaths(spare, 1)
    assert dead["position"] == answer.headers["LLMLedger-Position"]
    assert status_of(spare, dead["position"]) == "dead_letter"
    target = ("--url", spare.url, "--key", spare.key)
    (listed,) = by_command(tmp_path, "list", "--reason", "idempotency_key_reused", *target)
    assert listed == dead
    shown = by_command(tmp_path, "show", dead["position"], *target)
    assert json.loads(shown["body"]["text"])["reqPayload"] == {"model": "gpt-4"}
    assert spare.project in shown["key"]["text"]
    replayed = by_command(tmp_path, "replay", dead["position"], *target)
    assert (replayed["replayed"], list(replayed["positions"])) == (1, [dead["position"]])
    again = wait_for_deaths(spare, 2)
    assert (again["first_dead_at"], again["position"]) == (dead["first_dead_at"], dead["position"])
    assert [row["model"] for row in spare.wait_for_requests(1)] == ["gpt-4o"]


def test_commands_reach_the_product_while_it_runs_and_its_folder_while_it_does_not(tmp_path: Path) -> None:
    product = start_standalone(tmp_path)
    data = ("--data", str(product.data))
    try:
        access = product.access()
        position = reported_twice(access).headers["LLMLedger-Position"]
        assert status_of(access, position) == "dead_letter"
        assert [item["position"] for item in by_command(tmp_path, "list", *data)] == [position]
        token = json.loads((product.data / "run.json").read_text())["token"]
        product.stop()
        assert token not in "\n".join(product.banner) + product.child.messages()
    finally:
        product.kill()
    asked = run_command(["dlq", "replay", *data], tmp_path)
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    replay = run_command(["dlq", "replay", "--yes", "--json", *data], tmp_path)
    assert list(json.loads(replay.stdout)["positions"]) == [position]
    assert "when llmledger is started" in replay.stderr
    again = start_standalone(tmp_path)
    try:
        assert at_last(lambda: status_of(again.access(access.key), position) == "dead_letter")
        again.stop()
    finally:
        again.kill()


def status_of(access: Access, position: str) -> str:
    return str(access.get("/api/v1/status", position=position, wait=10).json()["status"])


@pytest.mark.kafka
@pytest.mark.clickhouse
async def test_where_no_service_answers_the_clusters_own_store_and_kafka_are_used(
    kafka_section: KafkaSection, clickhouse_dsn: str, tmp_path: Path
) -> None:
    delivery = a_delivery(bytes(range(256)), 7)
    with fresh_database(clickhouse_dsn) as dsn:
        with closing(ClickHousePool(with_schema(dsn), threads=1)) as pool:
            dead = Rejected(delivery, RejectCode.BODY_UNREADABLE, "why")
            await TableQuarantine(pool, system_clock, "test", kafka_section.topic).put([dead])
        settings = {
            "LLMLEDGER_STORE__DSN": dsn,
            "LLMLEDGER_BLOBS__URL": tmp_path.as_uri(),
            "LLMLEDGER_KEYS__FILE": str(tmp_path / "keys.json"),
            "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": kafka_section.bootstrap_servers,
            "LLMLEDGER_KAFKA__TOPIC": kafka_section.topic,
            "LLMLEDGER_KAFKA__PARTITIONS": str(kafka_section.partitions),
            "LLMLEDGER_KAFKA__GENERATION": str(kafka_section.generation),
        }
        text = await asyncio.to_thread(succeeded, ["dlq", "replay", "--yes", "--json"], tmp_path, settings)
    (copy,) = await everything_in(kafka_section)
    assert json.loads(text)["positions"] == {delivery.position.text: copy.read_at.text}
    assert (copy.key, copy.envelope, copy.body) == (delivery.key, delivery.envelope, delivery.body)
    assert (copy.position, copy.replays) == (delivery.position, 1)
    assert REPLAY_HEADER not in dict(copy.headers)
