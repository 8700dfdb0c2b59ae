"""What a batch is answered, and what of it is on the bus then."""

import asyncio
import gzip
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from ingest_api.batches.endpoint import BatchEndpoint
from ingest_api.bodies import BodyReader, ByteBudget
from ingest_api.health import BusHealth
from ingest_api.intake import Intake
from ingest_api.settings import IngestSettings
from ledger.bus import Position, Record
from ledger.bus.memory import MemoryBus
from ledger.clock import system_clock
from ledger.errors import BusBroken, BusUnavailable, LedgerError, TooLargeForBus
from ledger.ids import ProjectId, plain_id
from ledger.key_file import edit
from ledger.keys import KeyRing
from ledger.settings import KeysSection, SqliteLogSection
from tests.unit.ingest_api.service import (
    FOREIGN_PROJECT,
    NOW_MS,
    PROJECT,
    IngestService,
    RaisingBus,
    a_pezzo_report,
    as_json,
    make_service,
)

PATH = "/api/v1/reports"
A_REPORT = {"requestedAt": 1_750_000_000_000, "reqPayload": {"model": "m"}}
BAD = {"kind": "log.insert", "body": {}}


def an_item(**changes: Any) -> dict[str, Any]:
    """A good item; say in the test only what the test is about."""
    return {"kind": "openpipe.report", "body": A_REPORT} | changes


def lines(*items: Any) -> bytes:
    """The items as NDJSON; bytes as they are."""
    return b"\n".join(item if isinstance(item, bytes) else as_json(item) for item in items)


async def sent(service: IngestService, content: bytes, **headers: str) -> httpx.Response:
    """The answer to these bytes with the project's key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.client() as client:
        return await client.post(PATH, content=content, headers=service.openpipe | named)


class PickyBus(MemoryBus):
    """A bus that refuses the records whose bodies are named."""

    def __init__(self, refused: dict[bytes, LedgerError]) -> None:
        super().__init__()
        self.refused = refused

    async def publish(self, record: Record) -> Position:
        """Raise what is named for the body."""
        if record.body in self.refused:
            raise self.refused[record.body]
        return await super().publish(record)


async def test_every_good_item_is_on_the_bus_and_told_with_id_and_position(service: IngestService) -> None:
    answer = await sent(service, lines(*[an_item() for _ in range(3)]))
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert results == [
        {"index": index, "id": service.envelope(index).record_id, "position": f"1-0-{index}"} for index in range(3)
    ]
    assert len({result["id"] for result in results}) == 3


@pytest.mark.parametrize("content", [b"", b"\n", b"[]"])
async def test_an_empty_batch_has_no_results(content: bytes, service: IngestService) -> None:
    answer = await sent(service, content)
    assert (answer.status_code, answer.json()) == (200, {"results": []})


async def test_bad_items_are_no_hindrance_to_good_ones(service: IngestService) -> None:
    answer = await sent(service, lines(BAD, an_item(), b"rubbish", an_item()))
    results = answer.json()["results"]
    assert answer.status_code == 207
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    assert [result.get("position") for result in results] == [None, "1-0-0", None, "1-0-1"]
    assert results[0]["error"] == {
        "code": "invalid",
        "message": "model must be a non-empty string",
        "retry": False,
        "issues": [{"message": "model must be a non-empty string"}],
    }


async def test_a_batch_of_nothing_but_bad_items_is_no_success(service: IngestService) -> None:
    answer = await sent(service, lines(BAD, b"rubbish"))
    assert answer.status_code == 422
    assert [result["error"]["retry"] for result in answer.json()["results"]] == [False, False]
    assert "Retry-After" not in answer.headers
    assert service.bus.records == []


async def test_while_the_bus_is_away_the_good_items_are_to_be_sent_again(
    service: IngestService, caplog: pytest.LogCaptureFixture
) -> None:
    service.bus.away = True
    with caplog.at_level(logging.WARNING, "ingest_api"):
        answer = await sent(service, lines(an_item(), BAD))
    first, second = answer.json()["results"]
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert first["error"] == {"code": "unavailable", "message": "Not handed over, retry.", "retry": True}
    assert not second["error"]["retry"]
    assert [record.message for record in caplog.records] == ["Requests not confirmed."]


async def test_an_item_that_is_not_confirmed_makes_the_batch_no_success_and_the_others_are_told(tmp_path: Path) -> None:
    lost, large = as_json({"reqPayload": "lost"}), as_json({"reqPayload": "large"})
    bus = PickyBus({lost: BusUnavailable("Not confirmed, retry."), large: TooLargeForBus("Too large.")})
    service = make_service(tmp_path, bus)
    bodies = [b"{}", lost, large, b'{"a":1}']
    answer = await sent(service, lines(*[b'{"kind":"openpipe.report","body":' + body + b"}" for body in bodies]))
    results = answer.json()["results"]
    assert answer.status_code == 503
    assert [result.get("position") for result in results] == ["1-0-0", None, None, "1-0-1"]
    assert results[1]["error"] == {"code": "unavailable", "message": "Not confirmed, retry.", "retry": True}
    assert results[2]["error"] == {"code": "too_large", "message": "Too large.", "retry": False}
    assert [record.body for record in bus.records] == [b"{}", b'{"a":1}']


async def test_of_a_broken_bus_no_more_is_told_than_to_try_again(tmp_path: Path) -> None:
    service = make_service(tmp_path, RaisingBus(BusBroken("/secret/path")))
    answer = await sent(service, lines(an_item()))
    (result,) = answer.json()["results"]
    assert answer.status_code == 503
    assert result["error"] == {"code": "internal_error", "message": "Internal server error", "retry": True}


async def test_a_fault_of_ours_is_told_without_its_text(tmp_path: Path) -> None:
    service = make_service(tmp_path, RaisingBus(ZeroDivisionError("secret")))
    answer = await sent(service, lines(an_item()))
    error = {"code": "internal_error", "message": "Internal server error", "retry": True}
    assert (answer.status_code, answer.json()) == (500, {"error": error})


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"rubbish", {}, 400, "invalid"),
        (b"[{}", {}, 400, "invalid"),
        (b"[]", {"content_encoding": "gzip"}, 400, "invalid"),
        (b"[]", {"idempotency_key": ""}, 400, "invalid"),
        (b"[]", {"idempotency_key": "x" * 252}, 400, "invalid"),
        (b"[]", {"authorization": "Bearer nobody"}, 401, "unknown_key"),
        (b"[]", {"authorization": ""}, 401, "unknown_key"),
        (b"[" + b"1," * 1000 + b"1]", {}, 413, "too_large"),
        (b"[]", {"content_encoding": "br"}, 415, "unsupported_encoding"),
    ],
)
async def test_what_is_refused_whole_is_refused_in_one_shape(
    content: bytes, headers: dict[str, str], status: int, code: str, service: IngestService
) -> None:
    answer = await sent(service, content, **headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["retry"]) == (status, code, False)
    assert set(error) == {"code", "message", "retry"}


async def test_the_number_of_items_that_may_be_is_named(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_batch_items=2)
    answer = await sent(service, lines(*[an_item()] * 3))
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, "The batch has more than 2 items.")
    assert (await sent(service, lines(*[an_item()] * 2))).status_code == 200


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-pezzo-api-key"])
@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
async def test_the_key_may_be_in_any_of_three_headers(
    name: str, prefix: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    said = [(prefix + service.texts.good, 200), (prefix + service.texts.read_only, 403), (prefix, 401), ("no", 401)]
    for text, status in said:
        answer = await client.post(PATH, content=b"[]", headers={name: text})
        assert answer.status_code == status, text


@pytest.mark.parametrize("stranger", ["Basic dXNlcjpwYXNz", "Bearer nobody", "Bearer ", "Negotiate"])
@pytest.mark.parametrize("name", ["x-api-key", "x-pezzo-api-key"])
async def test_what_a_proxy_says_of_itself_hides_no_key(
    name: str, stranger: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    for key, status in [(service.texts.good, 200), (service.texts.read_only, 403), ("no", 401), ("", 401)]:
        answer = await client.post(PATH, content=b"[]", headers={"authorization": stranger, name: key})
        assert answer.status_code == status


async def test_of_several_keys_of_ours_the_first_one_counts(service: IngestService, client: httpx.AsyncClient) -> None:
    headers = {"authorization": service.texts.read_only, "x-api-key": service.texts.good}
    assert (await client.post(PATH, content=b"[]", headers=headers)).status_code == 403


async def test_another_method_is_told_which_one_there_is(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("items", [1, 1000])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
async def test_a_batch_may_be_packed_and_its_items_are_kept_plain(
    items: int, pack: Callable[[bytes], bytes], service: IngestService
) -> None:
    packed = pack(lines(*[an_item(body={"reqPayload": index}) for index in range(items)]))
    answer = await sent(service, packed, content_encoding="gzip" if pack is gzip.compress else "zstd")
    assert answer.status_code == 200
    assert [record.body for record in service.bus.records] == [as_json({"reqPayload": at}) for at in range(items)]
    assert service.envelope().content_encoding is None


async def test_a_body_is_published_byte_for_byte(service: IngestService) -> None:
    bodies = [
        b'{ "b" :1,\t"a": 1.50, "a":2 }',
        b'{"reqPayload":"\\ud83d \xf0\x9f\x99\x82 \\u00e4"}',
        b'{"reqPayload":"\\udc00","body":{"reqPayload":"\\udc00"}}',
    ]
    framed = [b'{"body" : ' + body + b' ,"kind":"openpipe.report"}' for body in bodies]
    for content in (b"\r\n".join(framed), b"[" + b" , ".join(framed) + b"]"):
        service.bus.records.clear()
        assert (await sent(service, content)).status_code == 200
        assert [record.body for record in service.bus.records] == bodies


def same_both_ways() -> list[Any]:
    """Each kind with its own endpoint and a good body."""
    return [
        ("openpipe.report", "/report", A_REPORT),
        ("openpipe.report-anthropic", "/report-anthropic", A_REPORT),
        ("pezzo.request", "/reporting/v2/request", a_pezzo_report()),
        ("log.insert", "/logs/insert", {"model": "m"}),
        ("log.update", "/logs/update", {"id": "<id>", "update_data": {"cost": 1}}),
    ]


@pytest.mark.parametrize(("kind", "path", "body"), same_both_ways())
async def test_an_item_becomes_the_record_that_its_own_endpoint_makes_of_it(
    kind: str, path: str, body: dict[str, Any], service: IngestService
) -> None:
    record_id = plain_id(NOW_MS, service.keys.id_secret(ProjectId(PROJECT)))
    body = body | ({"id": record_id} if "id" in body else {})
    headers = service.openpipe | service.pezzo | service.log_entries | {"idempotency-key": "k"}
    async with service.client() as client:
        alone = await client.post(path, content=json.dumps(body, indent=2), headers=headers)
    item = b'{"kind":"%s","idempotency_key":"k","body":%s}' % (kind.encode(), json.dumps(body, indent=2).encode())
    batched = await sent(service, b"[" + item + b"]")
    assert (alone.status_code, batched.status_code) == (200, 200)
    assert service.bus.records[0] == service.bus.records[1]
    assert service.envelope().kind == kind


async def test_an_update_of_a_record_of_nobody_or_of_another_project_is_not_found(service: IngestService) -> None:
    foreign = plain_id(NOW_MS, service.keys.id_secret(ProjectId(FOREIGN_PROJECT)))
    updates = [{"kind": "log.update", "body": {"id": text, "update_data": {}}} for text in (foreign, "nothing")]
    answer = await sent(service, lines(*updates, an_item()))
    assert answer.status_code == 207
    assert [result.get("error") for result in answer.json()["results"]] == [
        {"code": "not_found", "message": "Log entry not found", "retry": False},
        {"code": "not_found", "message": "Log entry not found", "retry": False},
        None,
    ]


async def test_a_batch_that_is_sent_again_is_the_same_events(service: IngestService) -> None:
    content = lines(an_item(), an_item(idempotency_key="own"), BAD, an_item())
    first, second = [(await sent(service, content, idempotency_key="all")).json()["results"] for _ in range(2)]
    assert [result.get("id") for result in first] == [result.get("id") for result in second]
    keys = [service.envelope(index).idempotency_key for index in range(6)]
    assert keys == ["all/0", "own", "all/3"] * 2


async def test_one_item_can_be_sent_again_under_the_key_that_it_had(service: IngestService) -> None:
    first = await sent(service, lines(an_item(), an_item()), idempotency_key="all")
    again = await sent(service, lines(an_item(idempotency_key="all/1")))
    assert again.json()["results"][0]["id"] == first.json()["results"][1]["id"]


async def test_the_longest_key_leaves_room_for_every_index(service: IngestService) -> None:
    answer = await sent(service, lines(*[an_item()] * 1000), idempotency_key="x" * 251)
    assert answer.status_code == 200
    assert len(service.envelope().idempotency_key or "") == 255


async def test_without_a_key_every_item_is_an_event_of_its_own(service: IngestService) -> None:
    results: Sequence[Any] = (await sent(service, lines(*[an_item()] * 10))).json()["results"]
    assert len({result["id"] for result in results}) == 10


async def test_a_batch_counts_twice_on_the_byte_budget_for_its_items_are_cut_out(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_buffered_bytes=2000)
    for size, status in ((1001, 503), (1000, 200), (1001, 503), (1000, 200)):  # what was taken is given back
        answer = await sent(service, b" " * (size - 2) + b"[]")
        assert answer.status_code == status
        assert status == 200 or answer.json()["error"]["retry"]


async def test_an_array_with_half_a_character_counts_three_times_for_it_is_copied_to_be_cut(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_buffered_bytes=3000)
    half = b'[{"kind":"openpipe.report","body":{"reqPayload":"\\ud83d' + b'"}}]'
    for size, status in ((1001, 503), (1000, 200), (1001, 503), (1000, 200)):
        assert (await sent(service, b" " * (size - len(half)) + half)).status_code == status


class CountingExecutor(ThreadPoolExecutor):
    """Threads that count what they are given to do."""

    given = 0

    def submit(self, *work: Any, **named: Any) -> Future[Any]:
        """Count, and do it."""
        self.given += 1
        return super().submit(*work, **named)


async def test_a_batch_that_may_have_many_bad_items_is_judged_in_a_thread(service: IngestService) -> None:
    with CountingExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        for size, given in ((32 * 1024, 0), (32 * 1024 + 1, 1)):
            assert (await sent(service, b" " * (size - 2) + b"[]")).status_code == 200
            assert threads.given == given


def test_large_batches_wait_for_their_turn_among_all_large_bodies(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    edit(keys, lambda content: content)
    reader = BodyReader(IngestSettings(SqliteLogSection(tmp_path), KeysSection(keys)), ByteBudget(1000))
    intake = Intake(MemoryBus(), KeyRing(keys), "prices-1", system_clock, BusHealth(1.0, time.monotonic))
    of_batches = BatchEndpoint.of(intake, reader).reader
    assert of_batches.turns is reader.turns
    assert of_batches.budget is reader.budget


async def test_a_batch_may_be_larger_than_one_body_and_has_a_limit_of_its_own(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_body_bytes=1000, max_batch_bytes=3000, thread_above_bytes=500)
    item = an_item(body={"reqPayload": "x" * 900})
    two, four = [await sent(service, lines(*[item] * number)) for number in (2, 4)]
    large = await sent(service, lines(an_item(body={"reqPayload": "x" * 1000}), item))
    assert (two.status_code, four.status_code) == (200, 413)
    assert large.json()["results"][0]["error"]["code"] == "too_large"
    assert large.json()["results"][1]["position"] == "1-0-2"


async def test_the_content_type_of_lines_is_believed(service: IngestService) -> None:
    for name in ("application/x-ndjson", "Application/JSONL; charset=utf-8"):
        answer = await sent(service, b"rubbish\n" + lines(an_item()), content_type=name)
        assert answer.status_code == 207
    assert (await sent(service, b"rubbish\n" + lines(an_item()), content_type="text/plain")).status_code == 400
