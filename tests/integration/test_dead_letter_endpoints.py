"""`/api/v1/admin/dead-letters`: listed, counted, shown and replayed, by whom it may."""

import gzip
import random
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ledger.bus import Position
from ledger.bus.broadcasts import partitions_header
from ledger.bus.memory import MemoryBus
from ledger.bus.replays import replay_headers
from ledger.ids import ProjectId
from ledger.report import Kind
from query_api.admin.dead_letters.reading import SHOWN_INFLATED_BYTES
from tests.support.builders import A_TIME, an_id
from tests.support.events import a_delivery
from tests.support.query_service import A_NOW, QueryService, query_service
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import TableQuarantine

PATH = "/api/v1/admin/dead-letters"
EVERY_BYTE = bytes(range(256))


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody with a key of all projects, a bus that remembers, and a table to put dead letters into."""

    service: QueryService
    bus: MemoryBus

    async def died(self, *dead: Rejected, at: datetime = A_NOW) -> None:
        await TableQuarantine(self.service.pool, lambda: at, "llmledger 1.0", "topic").put(dead)

    async def get(self, path: str = "", key: str | None = None, **query: Any) -> httpx.Response:
        return await self.service.get(PATH + path, key or self.service.keys.admin_of_all, **query)

    async def listed(self, key: str | None = None, **query: Any) -> list[dict[str, Any]]:
        answer = await self.get(key=key, **query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["dead_letters"]
        return found

    async def positions(self, key: str | None = None, **query: Any) -> list[str]:
        return [item["position"] for item in await self.listed(key, **query)]

    async def post(self, body: Any, key: str | None = None) -> httpx.Response:
        async with self.service.http() as client:
            headers = {"Authorization": key or self.service.keys.admin_of_all}
            return await client.post(f"{PATH}/replay", json=body, headers=headers)

    async def replayed(self, key: str | None = None, **body: Any) -> dict[str, Any]:
        answer = await self.post(body, key)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content


@pytest.fixture(scope="module")
def shared(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    bus = MemoryBus()
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("dead"), publisher=bus) as service:
        yield Operator(service, bus)


@pytest.fixture
async def operator(shared: Operator) -> AsyncIterator[Operator]:
    yield shared
    shared.bus.records.clear()
    shared.bus.away = False
    for table in ("dead_letters", "dead_letter_replays"):
        await shared.service.pool.run(lambda client, t=table: client.command(f"TRUNCATE TABLE {t}"))  # type: ignore[misc]


def dead(offset: int, project: str = "shop", code: RejectCode = RejectCode.BODY_INVALID, **changes: Any) -> Rejected:
    delivery = a_delivery(b"{}", offset, project=ProjectId(project), record_id=an_id(A_TIME, offset))
    return Rejected(replace(delivery, **changes), code, "why", "Invalid")


def again(rejected: Rejected, number: int) -> Rejected:
    """The same after it was replayed so often."""
    delivery = replace(rejected.delivery, replayed_at=Position(1, 0, 1000 + number), replays=number)
    return replace(rejected, delivery=delivery)


async def test_a_dead_letter_is_listed_with_what_is_known_of_it(operator: Operator) -> None:
    await operator.died(dead(7, project="shop"))
    (item,) = await operator.listed()
    assert item == {
        "position": "1-0-7",
        "project": "shop",
        "record_id": an_id(A_TIME, 7),
        "event_id": an_id(A_TIME, 7),
        "kind": "openpipe.report",
        "reason": "body_invalid",
        "detail": "why",
        "error_class": "Invalid",
        "first_dead_at": "2026-04-01T00:00:00.000Z",
        "dead_at": "2026-04-01T00:00:00.000Z",
        "attempts": 1,
        "state": "waiting",
        "size": 2,
    }


async def test_pages_go_from_the_latest_death_to_the_earliest_and_miss_nothing(operator: Operator) -> None:
    for hour in range(3):
        await operator.died(*(dead(hour * 10 + at) for at in range(3)), at=A_NOW - timedelta(hours=hour))
    found: list[str] = []
    cursor = ""
    while True:
        content = (await operator.get(limit=2, cursor=cursor)).json()
        found += [item["position"] for item in content["dead_letters"]]
        cursor = content["next_cursor"]
        if cursor is None:
            break
    assert found == [f"1-0-{offset}" for offset in (2, 1, 0, 12, 11, 10, 22, 21, 20)]


async def test_conditions_narrow_the_list(operator: Operator) -> None:
    update = a_delivery(b"{}", 3, kind=Kind.LOG_UPDATE, record_id=an_id(A_TIME, 3))
    await operator.died(
        dead(1, code=RejectCode.KEY_REUSED), dead(2, "bank"), Rejected(update, RejectCode.ROW_REFUSED, "")
    )
    await operator.died(dead(4), at=A_NOW - timedelta(days=2))
    assert await operator.positions(reason="idempotency_key_reused") == ["1-0-1"]
    assert await operator.positions(project="bank") == ["1-0-2"]
    assert await operator.positions(kind="log.update") == ["1-0-3"]
    assert await operator.positions(record_id=an_id(A_TIME, 1).upper()) == ["1-0-1"]
    assert await operator.positions(to="now-1d") == ["1-0-4"]
    assert len(await operator.positions(**{"from": "now-1d"})) == 3
    assert await operator.positions(state="replayed") == []
    assert len(await operator.positions(state="waiting", project="")) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "1001"), ("limit", "x"), ("cursor", "abc"), ("from", "soon"), ("state", "odd")],
)
async def test_a_parameter_that_cannot_be_understood_is_named(operator: Operator, name: str, value: str) -> None:
    answer = await operator.get(**{name: value})
    assert answer.status_code == 400
    assert name in answer.json()["error"]


async def test_an_admin_of_one_project_sees_and_replays_its_own_only(operator: Operator) -> None:
    own = operator.service.keys.admin
    await operator.died(dead(1), dead(2, "bank"), dead(3, key=None, envelope=b"?"))
    assert await operator.positions(own) == ["1-0-1"]
    assert (await operator.get("/1-0-1", own)).status_code == 200
    assert (await operator.get("/1-0-2", own)).status_code == 404
    assert (await operator.get(key=own, project="bank")).status_code == 403
    assert (await operator.post({"project": "bank"}, own)).status_code == 403
    assert (await operator.replayed(own, position="1-0-2"))["matched"] == 0
    assert (await operator.replayed(own))["positions"].keys() == {"1-0-1"}
    counts = (await operator.get("/counts", own)).json()["counts"]
    assert [(item["project"], item["waiting"], item["replayed"]) for item in counts] == [("shop", 0, 1)]


@pytest.mark.parametrize(("name", "status"), [("shop", 403), ("everything", 403), ("ingest_only", 403)])
async def test_without_the_scope_admin_nothing_is_shown(operator: Operator, name: str, status: int) -> None:
    key = getattr(operator.service.keys, name)
    assert {(await operator.get(path, key)).status_code for path in ("", "/counts", "/1-0-1")} == {status}
    assert (await operator.post({}, key)).status_code == status
    assert (await operator.service.get(PATH, "")).status_code == 401


async def test_they_are_counted_by_project_and_reason(operator: Operator) -> None:
    await operator.died(
        dead(1), dead(2), dead(3, code=RejectCode.ROW_REFUSED), dead(4, "bank"), dead(5, key=None, envelope=None)
    )
    await operator.replayed(position="1-0-2")
    counts = (await operator.get("/counts")).json()["counts"]
    assert [(item["project"], item["reason"], item["waiting"], item["replayed"]) for item in counts] == [
        (None, "body_invalid", 1, 0),
        ("bank", "body_invalid", 1, 0),
        ("shop", "body_invalid", 1, 1),
        ("shop", "row_refused", 1, 0),
    ]


async def test_every_byte_of_it_is_shown(operator: Operator) -> None:
    await operator.died(dead(1, key=EVERY_BYTE, body=EVERY_BYTE, headers=(("x", EVERY_BYTE), ("é", b""))))
    content = (await operator.get("/1-0-1")).json()
    assert content["dead_letter"]["position"] == "1-0-1"
    assert (content["topic"], content["code_version"]) == ("topic", "llmledger 1.0")
    for name in ("key", "body"):
        assert content[name]["text"] is None
        assert (content[name]["size"], b64decode(content[name]["base64"])) == (256, EVERY_BYTE)
    assert content["envelope"]["text"].startswith('{"version":1')
    assert [(item["name"], b64decode(item["value_base64"])) for item in content["headers"]] == [
        ("x", EVERY_BYTE),
        ("é", b""),
    ]
    assert (content["body_inflated"], content["replays"]) == (None, [])


async def test_what_was_not_there_is_null_and_a_compressed_body_is_shown_inflated_too(operator: Operator) -> None:
    compressed = a_delivery(gzip.compress(b'{"a":1}'), 2, content_encoding="gzip")
    broken = a_delivery(b"no gzip", 3, content_encoding="gzip")
    await operator.died(
        dead(1, key=None, envelope=None, body=None),
        *(Rejected(delivery, RejectCode.BODY_INVALID, "") for delivery in (compressed, broken)),
    )
    nothing, inflated, unreadable = [(await operator.get(f"/1-0-{at}")).json() for at in (1, 2, 3)]
    assert (nothing["key"], nothing["envelope"], nothing["body"]) == (None, None, None)
    assert inflated["body_inflated"]["text"] == '{"a":1}'
    assert b64decode(inflated["body"]["base64"]) == compressed.body
    assert unreadable["body_inflated"] is None


async def test_of_a_large_body_that_came_compressed_only_the_beginning_is_shown_inflated(operator: Operator) -> None:
    text = "a" * (SHOWN_INFLATED_BYTES - 1) + "é" * 2  # the cut goes through the first é
    data = random.Random(7).randbytes(SHOWN_INFLATED_BYTES + 1)
    bodies = [gzip.compress(text.encode()), gzip.compress(data)]
    await operator.died(
        *(
            Rejected(a_delivery(body, at, content_encoding="gzip"), RejectCode.BODY_INVALID, "")
            for at, body in enumerate(bodies)
        )
    )
    as_text, as_bytes = [(await operator.get(f"/1-0-{at}")).json() for at in (0, 1)]
    inflated = as_text["body_inflated"]
    assert (inflated["text"], inflated["size"], inflated["cut"]) == (text[:-2], len(text.encode()), True)
    inflated = as_bytes["body_inflated"]
    assert (b64decode(inflated["base64"]), inflated["text"]) == (data[:-1], None)
    assert (inflated["size"], inflated["cut"]) == (len(data), True)
    for content, body in zip((as_text, as_bytes), bodies, strict=True):
        assert (b64decode(content["body"]["base64"]), content["body"]["cut"]) == (body, False)


async def test_what_is_longer_than_a_portion_is_shown_and_replayed_byte_for_byte(operator: Operator) -> None:
    data = random.Random(8).randbytes(7 * 1024 * 1024 + 1)
    await operator.died(dead(7, body=data))
    answer = await operator.get("/1-0-7")
    assert answer.headers["content-type"] == "application/json"
    assert b64decode(answer.json()["body"]["base64"], validate=True) == data
    await operator.replayed()
    assert operator.bus.records[0].body == data


async def test_what_is_not_there_is_not_found_and_no_position_is_refused(operator: Operator) -> None:
    assert (await operator.get("/1-0-99")).status_code == 404
    assert (await operator.get("/nothing")).status_code == 400


async def test_a_replay_puts_the_record_on_the_bus_as_it_was_and_says_what_it_is(operator: Operator) -> None:
    await operator.died(dead(7, body=EVERY_BYTE, headers=(("trace", EVERY_BYTE),)))
    result = await operator.replayed()
    assert result == {"matched": 1, "replayed": 1, "skipped": [], "positions": {"1-0-7": "1-0-0"}}
    (record,) = operator.bus.records
    original = dead(7).delivery
    assert (record.key, record.envelope, record.body) == (original.key, original.envelope, EVERY_BYTE)
    assert record.headers == (("trace", EVERY_BYTE), *replay_headers(Position(1, 0, 7), 1))
    (item,) = await operator.listed()
    assert item["state"] == "replayed"
    (replay,) = (await operator.get("/1-0-7")).json()["replays"]
    assert replay == {"number": 1, "replayed_at": "2026-04-01T00:00:00.000Z", "position": "1-0-0"}
    assert (await operator.replayed())["matched"] == 0


async def test_they_go_out_in_the_order_of_acceptance_and_up_to_the_limit(operator: Operator) -> None:
    await operator.died(*(dead(offset) for offset in (30, 4, 17, 8)))
    first = await operator.replayed(limit=3)
    assert (first["matched"], list(first["positions"])) == (4, ["1-0-4", "1-0-8", "1-0-17"])
    assert (await operator.replayed(limit=3))["positions"].keys() == {"1-0-30"}


async def test_one_that_dies_again_waits_again_and_remembers(operator: Operator) -> None:
    await operator.died(dead(7))
    await operator.replayed()
    await operator.died(again(dead(7, code=RejectCode.ROW_REFUSED), 1), at=A_NOW + timedelta(hours=1))
    (item,) = await operator.listed()
    assert (item["attempts"], item["state"], item["reason"]) == (2, "waiting", "row_refused")
    assert (item["first_dead_at"], item["dead_at"]) == ("2026-04-01T00:00:00.000Z", "2026-04-01T01:00:00.000Z")
    await operator.replayed()
    assert operator.bus.records[1].headers == replay_headers(Position(1, 0, 7), 2)


async def test_neither_a_late_mark_nor_an_old_worker_hides_that_it_died_again(operator: Operator) -> None:
    await operator.died(dead(7))
    await operator.died(again(dead(7), 1))  # before the replay's own mark
    await operator.service.pool.run(
        lambda client: client.command("INSERT INTO dead_letter_replays VALUES (1, 0, 7, 0, now64(3), 1, 0, 9)")
    )
    await operator.died(dead(7))  # by a worker that has lost its partitions
    (item,) = await operator.listed()
    assert (item["attempts"], item["state"]) == (2, "waiting")


async def test_what_was_replayed_too_often_or_can_never_be_a_row_is_left_and_named(operator: Operator) -> None:
    await operator.died(dead(1, envelope=None), again(dead(2), 5), dead(3))
    result = await operator.replayed(limit=2)
    assert list(result["positions"]) == ["1-0-3"]
    (skipped,) = result["skipped"]
    assert skipped["position"] == "1-0-1"
    assert "no envelope" in skipped["why"]
    rest = await operator.replayed()
    assert {item["position"] for item in rest["skipped"]} == {"1-0-1", "1-0-2"}
    assert (await operator.replayed(position="1-0-2", max_replays=6))["replayed"] == 1


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(operator: Operator) -> None:
    await operator.died(dead(1), dead(2, "bank"))
    result = await operator.replayed(dry_run=True, reason="body_invalid", project="shop")
    assert result == {"matched": 1, "replayed": 0, "skipped": [], "positions": {"1-0-1": None}}
    assert operator.bus.records == []
    assert (await operator.positions(state="waiting", project="shop")) == ["1-0-1"]


async def test_a_record_without_a_key_goes_out_with_an_empty_one(operator: Operator) -> None:
    await operator.died(dead(1, key=None, body=None))
    await operator.replayed()
    assert [(record.key, record.body) for record in operator.bus.records] == [(b"", b"")]


async def test_each_partitions_copy_of_a_broadcast_goes_back_to_its_own_partition(operator: Operator) -> None:
    copy = dead(1, position=Position(1, 2, 1), headers=(partitions_header(3),))
    await operator.died(copy, dead(2))
    await operator.replayed()
    assert [record.partition for record in operator.bus.records] == [None, 2]


async def test_when_the_bus_refuses_nothing_is_marked(operator: Operator) -> None:
    await operator.died(dead(1))
    operator.bus.away = True
    answer = await operator.post({})
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert await operator.positions(state="waiting") == ["1-0-1"]


async def test_what_was_put_on_the_bus_before_it_failed_is_marked(operator: Operator) -> None:
    class Failing(MemoryBus):
        async def publish(self, record: Any) -> Position:
            self.away = len(self.records) == 1
            return await MemoryBus.publish(self, record)

    await operator.died(dead(1), dead(2))
    with _service_with(operator, Failing()) as other:
        assert (await other.post({})).status_code == 503
    assert await operator.positions(state="replayed") == ["1-0-1"]
    assert await operator.positions(state="waiting") == ["1-0-2"]


async def test_without_a_bus_only_what_needs_it_is_refused_and_the_setting_is_named(operator: Operator) -> None:
    await operator.died(dead(1))
    with _service_with(operator, None) as other:
        answer = await other.post({})
        assert answer.status_code == 503
        assert "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS" in answer.json()["error"]
        assert (await other.replayed(dry_run=True))["matched"] == 1
        assert await other.positions() == ["1-0-1"]


@contextmanager
def _service_with(operator: Operator, bus: MemoryBus | None) -> Iterator[Operator]:
    """The same store with another bus."""
    folder = operator.service.keys.file.parent / "other"
    folder.mkdir(exist_ok=True)
    with query_service(operator.service.dsn, folder, publisher=bus) as service:
        yield Operator(service, bus or operator.bus)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"position": "x"},
        {"max_replays": 0},
        {"rate_per_second": 0},
        {"rate_per_second": 0.5, "limit": 100},
        {"unknown": 1},
        {"from": "soon"},
        {"reason": "r" * 201},
    ],
)
async def test_a_request_that_cannot_be_understood_is_refused_and_the_field_named(
    operator: Operator, body: dict[str, Any]
) -> None:
    answer = await operator.post(body)
    assert answer.status_code == 400
    assert next(reversed(body)) in answer.json()["error"]


async def test_a_rate_is_kept_without_losing_any(operator: Operator) -> None:
    await operator.died(*(dead(offset) for offset in range(25)))
    result = await operator.replayed(rate_per_second=1000)
    assert result["replayed"] == len(operator.bus.records) == 25
