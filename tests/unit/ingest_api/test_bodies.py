"""Bodies on the way in: sizes, encodings, pace, and the memory that they may take."""

import asyncio
import gc
import gzip
import random
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from litestar import Request

from ingest_api.bodies import Body, BodyReader, ByteBudget
from ingest_api.settings import IngestSettings
from ledger.errors import Invalid
from ledger.settings import MAX_BODY_BYTES, KeysSection, SqliteLogSection
from tests.unit.ingest_api.service import IngestService, a_pezzo_report, as_json, make_service

TOO_LARGE: dict[str, dict[str, Any]] = {
    "/report": {"message": "Request body is too large", "code": "PAYLOAD_TOO_LARGE"},
    "/reporting/v2/request": {"statusCode": 413, "message": "request entity too large"},
}


def all_headers(service: IngestService, **more: str) -> dict[str, str]:
    return service.openpipe | service.pezzo | service.log_entries | more


def padded(size: int) -> bytes:
    """A report of exactly that many bytes."""
    frame = b'{"reqPayload":{"a":""}}'
    return frame[:-3] + b"x" * (size - len(frame)) + frame[-3:]


async def chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_a_body_of_32_mib_is_accepted_and_one_byte_more_is_not(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    accepted = await client.post("/report", content=padded(MAX_BODY_BYTES), headers=service.openpipe)
    refused = await client.post("/report", content=padded(MAX_BODY_BYTES + 1), headers=service.openpipe)
    assert (accepted.status_code, refused.status_code) == (200, 413)
    assert [len(record.body) for record in service.bus.records] == [MAX_BODY_BYTES]


@pytest.mark.parametrize("path", ["/report", "/reporting/v2/request", "/logs/insert"])
@pytest.mark.parametrize("in_chunks", [False, True])
async def test_too_large_a_body_is_refused_in_each_manner(path: str, in_chunks: bool, tmp_path: Path) -> None:
    service = make_service(tmp_path, max_body_bytes=1000)
    body = padded(1001)
    async with service.client() as client:
        content: Any = chunks(body, 100) if in_chunks else body
        answer = await client.post(path, content=content, headers=all_headers(service))
    assert answer.status_code == 413
    assert answer.json() == TOO_LARGE.get(path, answer.json())
    assert set(answer.json()) == set(TOO_LARGE.get(path, {"error": ""}))
    assert service.bus.records == []


async def test_an_announced_length_is_refused_before_anything_is_read(service: IngestService) -> None:
    async def nothing() -> Any:
        raise AssertionError("the body must not be read")

    for length in (str(MAX_BODY_BYTES + 1), "9" * 5000):
        headers = {**service.openpipe, "content-length": length}
        assert (await answer_status(service, headers, nothing)) == 413


async def test_a_body_in_pieces_is_one_body(service: IngestService, client: httpx.AsyncClient) -> None:
    body = padded(100_000)
    answer = await client.post("/report", content=chunks(body, 999), headers=service.openpipe)
    assert answer.status_code == 200
    assert [record.body for record in service.bus.records] == [body]


async def test_a_body_in_pieces_is_held_once(tmp_path: Path) -> None:
    settings = IngestSettings(SqliteLogSection(tmp_path), KeysSection(tmp_path))
    reader = BodyReader(settings, ByteBudget(settings.max_buffered_bytes))
    left = [b"x" * 10_000] * 100  # one and the same piece

    async def receive() -> Any:
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    scope: Any = {"type": "http", "headers": []}
    request: Request[Any, Any, Any] = Request(scope, receive)
    tracemalloc.start()
    try:
        body = await reader.read(request, reader.charged())
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()
    assert body.wire == b"x" * 1_000_000


async def test_a_body_in_one_piece_is_read_at_once(service: IngestService) -> None:
    messages = [{"type": "http.request", "body": b'{"a":1}', "more_body": False}]

    async def receive() -> Any:
        return messages.pop(0)

    assert await answer_status(service, service.openpipe, receive) == 200
    assert [record.body for record in service.bus.records] == [b'{"a":1}']


@pytest.mark.parametrize(
    ("encoding", "name"), [("gzip", "gzip"), ("x-gzip", "gzip"), ("GZIP", "gzip"), ("zstd", "zstd"), ("identity", None)]
)
async def test_a_compressed_body_is_published_as_it_came(
    encoding: str, name: str | None, service: IngestService, client: httpx.AsyncClient
) -> None:
    body = as_json({"requestedAt": 1767225600000})
    wire = {"gzip": gzip.compress(body), "zstd": zstandard.compress(body), None: body}[name]
    headers = {**service.openpipe, "content-encoding": encoding}
    answer = await client.post("/report", content=wire, headers=headers)
    envelope = service.envelope()
    assert answer.status_code == 200
    assert (envelope.content_encoding, envelope.created_at) == (name, 1767225600000)
    assert [record.body for record in service.bus.records] == [wire]


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/report", {"code": "UNSUPPORTED_MEDIA_TYPE"}),
        ("/reporting/v2/request", {"statusCode": 415, "error": "Unsupported Media Type"}),
        ("/logs/insert", {}),
    ],
)
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate"])
async def test_another_encoding_is_refused_in_each_manner(
    path: str, rest: dict[str, Any], encoding: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    headers = all_headers(service, **{"content-encoding": encoding})
    answer = await client.post(path, content=b"{}", headers=headers)
    told = answer.json()
    text = told.pop("error" if path == "/logs/insert" else "message")
    assert (answer.status_code, told) == (415, rest)
    assert "use gzip, zstd or none" in text


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1),
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("encoding", sorted(PACKED))
async def test_a_compressed_body_that_is_too_large_is_refused(
    encoding: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    wire = PACKED[encoding](padded(MAX_BODY_BYTES // 2) + random.Random(1).randbytes(MAX_BODY_BYTES // 2 + 1))
    headers = {**service.openpipe, "content-encoding": encoding}
    assert (await client.post("/report", content=wire, headers=headers)).status_code == 413


@pytest.mark.parametrize("path", ["/report", "/reporting/v2/request", "/logs/insert"])
@pytest.mark.parametrize("encoding", sorted(PACKED))
async def test_a_bomb_is_refused_in_each_manner(
    path: str, encoding: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    headers = all_headers(service, **{"content-encoding": encoding})
    answer = await client.post(path, content=PACKED[encoding](padded(2 * 1024 * 1024)), headers=headers)
    assert answer.status_code == 400
    assert path == "/report" or "more than 100 times its size" in answer.text
    assert service.bus.records == []


@pytest.mark.parametrize("encoding", sorted(PACKED))
async def test_a_short_text_may_be_packed_as_well_as_it_can(
    encoding: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    wire = PACKED[encoding](padded(900_000))
    headers = {**service.openpipe, "content-encoding": encoding}
    assert (await client.post("/report", content=wire, headers=headers)).status_code == 200


async def test_what_is_inflated_is_counted_before_it_is_whole(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_buffered_bytes=3_000_000)
    body = b'{"reqPayload":"' + random.Random(2).randbytes(8_000_000).hex().encode() + b'"}'
    async with service.client() as client:
        headers = {**service.openpipe, "content-encoding": "zstd"}
        small = await client.post("/report", content=zstandard.compress(body[:500_000] + b'"}'), headers=headers)
        for _ in range(3):  # what a refused one took is given back
            packed = zstandard.compress(b'{"reqPayload":"' + b"0123456789" * 20_000 + body[15:2_000_000] + b'"}')
            assert (await client.post("/report", content=packed, headers=headers)).status_code == 503
        again = await client.post("/report", content=zstandard.compress(body[:500_000] + b'"}'), headers=headers)
    assert (small.status_code, again.status_code) == (200, 200)


@pytest.mark.parametrize("wire", [b"", b"{}", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"x"])
async def test_what_is_not_of_its_encoding_is_a_parse_error(
    wire: bytes, service: IngestService, client: httpx.AsyncClient
) -> None:
    headers = {**service.openpipe, "content-encoding": "gzip"}
    answer = await client.post("/report", content=wire, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARSE_ERROR")


@pytest.mark.parametrize("key", ["good", "nobody"])
async def test_a_body_that_never_ends_is_given_up(key: str, tmp_path: Path) -> None:
    service = make_service(tmp_path, body_grace_seconds=0.01)
    headers = service.openpipe if key == "good" else {"authorization": "Bearer nobody"}

    async def never() -> Any:
        await asyncio.Event().wait()

    assert await answer_status(service, headers, never) == 408


async def test_a_slow_body_may_take_longer_while_it_keeps_its_pace(tmp_path: Path) -> None:
    service = make_service(tmp_path, body_grace_seconds=0.01, body_bytes_per_second=1)
    messages = [
        {"type": "http.request", "body": b'{"a":', "more_body": True},  # earns five more seconds
        {"type": "http.request", "body": b"1}", "more_body": False},
    ]

    async def slow() -> Any:
        loop = asyncio.get_running_loop()
        if len(messages) == 1:
            later = loop.create_future()
            loop.call_later(0.02, later.set_result, None)
            await later
        return messages.pop(0)

    assert await answer_status(service, service.openpipe, slow) == 200


async def test_a_sender_that_goes_away_leaves_nothing_behind(service: IngestService) -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    assert await answer_status(service, service.openpipe, receive) == 400
    assert service.bus.records == []


async def test_beyond_the_byte_budget_callers_are_told_to_come_back(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_buffered_bytes=1000)
    async with service.client() as client:
        for _ in range(2):  # a refused body gives back what it took
            refused = await client.post("/report", content=chunks(padded(1001), 400), headers=service.openpipe)
            assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert 1 <= int(refused.headers["Retry-After"]) <= 5
        for _ in range(2):
            accepted = await client.post("/report", content=padded(1000), headers=service.openpipe)
            assert accepted.status_code == 200


async def test_inflated_bytes_count_on_the_budget_too(tmp_path: Path) -> None:
    service = make_service(tmp_path, max_buffered_bytes=1000)
    async with service.client() as client:
        headers = {**service.openpipe, "content-encoding": "gzip"}
        answer = await client.post("/report", content=gzip.compress(padded(990)), headers=headers)
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/report", {"errorMessage": "x" * 1024 * 1024}),
        ("/report", {"tags": {"a": "x" * 1024 * 1024}}),
        ("/reporting/v2/request", a_pezzo_report(properties={"a": "x" * 1024 * 1024})),
        ("/reporting/v2/request", a_pezzo_report(response={"timestamp": "x" * 1024 * 1025})),
        ("/logs/insert", {"model": "m", "metadata": {"a": "x" * 1024 * 1024}}),
        ("/logs/update", {"id": "x" * 1024 * 1024, "update_data": {}}),
    ],
)
async def test_fields_that_are_read_whole_must_be_small(
    path: str, body: Any, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await client.post(path, content=as_json(body), headers=all_headers(service))
    assert answer.status_code == 413


async def test_a_body_of_too_many_keys_is_refused_but_payloads_may_have_them(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    many = {f"k{number}": number for number in range(100_002)}
    payload = await client.post("/report", content=as_json({"reqPayload": many}), headers=service.openpipe)
    envelope = await client.post("/report", content=as_json(many), headers=service.openpipe)
    assert (payload.status_code, envelope.status_code) == (200, 413)


async def test_large_unknown_values_are_accepted(service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await client.post("/report", content=as_json({"zzz": "x" * 3_000_000}), headers=service.openpipe)
    assert answer.status_code == 200


async def answer_status(service: IngestService, headers: dict[str, str], receive: Any) -> int:
    """Post to /report with a body that `receive` gives out."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/report",
        "raw_path": b"/report",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }
    await service.app(scope, receive, send)
    return int(sent[0]["status"])


class Held:
    """Something that a refused body's judge has in hands."""


async def test_a_refused_large_body_is_gone_before_the_collector_comes_by(tmp_path: Path) -> None:
    settings = IngestSettings(SqliteLogSection(tmp_path), KeysSection(tmp_path))
    reader = BodyReader(settings, ByteBudget(settings.max_buffered_bytes))
    seen: list[weakref.ref[Held]] = []

    def judge(_: bytes) -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise Invalid("No.")

    body = Body(b"{" * (reader.settings.thread_above_bytes + 1), None)
    gc.disable()
    try:
        with reader.charged() as charge, suppress(Invalid):
            await reader.judged(body, charge, judge)
        await asyncio.get_running_loop().shutdown_default_executor()  # until then thread and loop may hold the error
        assert [reference() for reference in seen] == [None]
    finally:
        gc.enable()
