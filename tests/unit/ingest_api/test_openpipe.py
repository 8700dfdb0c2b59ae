"""OpenPipe: what is accepted, what is refused, and in which order."""

from typing import Any

import httpx
import pytest

from ledger.report import Kind
from tests.unit.ingest_api.service import NOW_MS, PRICE_VERSION, PROJECT, IngestService, as_json

OK = b'{"status":"ok"}'
PARSE_ERROR = {"message": "Failed to parse request body", "code": "PARSE_ERROR"}
UNAUTHORIZED = {"message": "UNAUTHORIZED", "code": "UNAUTHORIZED"}
STRANGER = {"authorization": "Bearer nobody"}


async def post(client: httpx.AsyncClient, service: IngestService, body: bytes, path: str = "report") -> httpx.Response:
    return await client.post(f"/api/v1/{path}", content=body, headers=service.openpipe)


@pytest.mark.parametrize("prefix", ["/api/v1/", "/"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [("report", Kind.OPENPIPE_REPORT), ("report-anthropic", Kind.OPENPIPE_REPORT_ANTHROPIC)],
)
async def test_an_accepted_report_is_on_the_bus_as_it_came(
    prefix: str, path: str, kind: Kind, service: IngestService, client: httpx.AsyncClient
) -> None:
    body = b' {"requestedAt": 1767225600000,\n "zzz":1, "reqPayload":{"model":"m", "a":1.50}}'
    answer = await client.post(prefix + path, content=body, headers=service.openpipe)
    assert (answer.status_code, answer.content) == (200, OK)
    [record] = service.bus.records
    envelope = service.envelope()
    assert record.body == body
    assert record.key.decode() == f"{PROJECT}/{envelope.record_id}"
    assert (envelope.kind, envelope.project, envelope.price_version) == (kind, PROJECT, PRICE_VERSION)
    assert (envelope.accepted_at, envelope.created_at) == (NOW_MS, 1767225600000)
    assert {str(envelope.event_id), str(envelope.record_id)} == {answer.headers["LLMLedger-Log-Id"]}
    assert answer.headers["LLMLedger-Position"] == "1-0-0"


async def test_no_credential_gets_on_the_bus(service: IngestService, client: httpx.AsyncClient) -> None:
    await post(client, service, b"{}")
    [record] = service.bus.records
    assert service.texts.good.encode() not in record.envelope + record.body + record.key


@pytest.mark.parametrize(
    ("requested_at", "created_at"),
    [
        (1726000000, 1726000000000),  # seconds
        ("1726000000000", 1726000000000),
        (None, NOW_MS),
        ("", NOW_MS),
        (0, NOW_MS),
        (1e300, NOW_MS),
        (1577836799999, NOW_MS),  # before 2020
        (NOW_MS + 24 * 3600 * 1000, NOW_MS + 24 * 3600 * 1000),
        (NOW_MS + 24 * 3600 * 1000 + 1, NOW_MS),
    ],
)
async def test_a_record_is_created_when_it_was_requested_if_that_is_sane(
    requested_at: Any, created_at: int, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await post(client, service, as_json({"requestedAt": requested_at}))
    assert answer.status_code == 200
    assert service.envelope().created_at == created_at


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"reqPayload":null,"respPayload":null,"errorMessage":null,"statusCode":null,"requestedAt":null}',
        b'{"reqPayload":"text","respPayload":[1,2],"statusCode":"200"}',
        b'{"tags":{"a":null,"b":"","c":1.5,"d":true},"metadata":{"x":"y"}}',
        b'{"statusCode":99999999999,"receivedAt":"1e999"}',
        b'{"reqPayload":{"metadata":[1]}}',
        b'{"reqPayload":' + b"[" * 63 + b"]" * 63 + b"}",
    ],
)
async def test_a_lenient_report_is_accepted(body: bytes, service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await post(client, service, body, "report-anthropic")
    assert (answer.status_code, answer.content) == (200, OK)
    assert [record.body for record in service.bus.records] == [body]


async def test_half_an_emoji_loses_nothing_of_the_report(service: IngestService, client: httpx.AsyncClient) -> None:
    body = rb'{"reqPayload":{"model":"gpt-4o","prompt":"cut \ud83d"}}'
    answer = await post(client, service, body)
    assert (answer.status_code, answer.content) == (200, OK)
    assert [record.body for record in service.bus.records] == [body]


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b"\xff{}",
        b'{"a":"\xc3"}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":9223372036854775808}',
        b'{"a":1}{}',
        b"[1,",
        b" ",
        b'{"a":' + b"[" * 130 + b"]" * 130 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_what_is_not_sound_json_is_a_parse_error(
    body: bytes, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await post(client, service, body)
    assert (answer.status_code, answer.json()) == (400, PARSE_ERROR)
    assert service.bus.records == []


@pytest.mark.parametrize(
    ("body", "path", "expected", "received"),
    [
        ({"requestedAt": "abc"}, ["requestedAt"], "number", "nan"),
        ({"requestedAt": True}, ["requestedAt"], "number", "boolean"),
        ({"receivedAt": {}}, ["receivedAt"], "number", "object"),
        ({"statusCode": "0x10"}, ["statusCode"], "number", "nan"),
        ({"statusCode": [200]}, ["statusCode"], "number", "array"),
        ({"errorMessage": {"a": 1}}, ["errorMessage"], "string", "object"),
        ({"tags": "a"}, ["tags"], "object", "string"),
        ({"metadata": None}, ["metadata"], "object", "null"),
        ("text", [], "object", "string"),
        (None, [], "object", "null"),
        (5, [], "object", "number"),
    ],
)
async def test_a_wrong_type_is_one_issue_with_its_path(
    body: Any, path: list[str], expected: str, received: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await post(client, service, as_json(body))
    issue = {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": path,
        "message": f"Expected {expected}, received {received}",
    }
    refusal = {"message": "Input validation failed", "code": "BAD_REQUEST", "issues": [issue]}
    assert (answer.status_code, answer.json()) == (400, refusal)


async def test_every_wrong_field_is_told(service: IngestService, client: httpx.AsyncClient) -> None:
    body: Any = {"requestedAt": "x", "errorMessage": 1, "tags": {"a": [], "b": {}}}
    issues = (await post(client, service, as_json(body))).json()["issues"]
    paths = {tuple(issue["path"]) for issue in issues}
    assert paths == {("requestedAt",), ("errorMessage",), ("tags", "a"), ("tags", "b")}


async def test_the_list_of_issues_stays_short(service: IngestService, client: httpx.AsyncClient) -> None:
    body: Any = {"tags": {str(number): [] for number in range(1000)}}
    answer = await post(client, service, as_json(body))
    assert answer.status_code == 400
    assert len(answer.json()["issues"]) == 100


async def test_a_stranger_with_bad_json_hears_of_the_json_first(client: httpx.AsyncClient) -> None:
    answer = await client.post("/report", content=b"{bad", headers=STRANGER)
    assert (answer.status_code, answer.json()) == (400, PARSE_ERROR)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"requestedAt":"abc"}', b"{bad" + b" " * 1024 * 1024])
async def test_a_stranger_with_readable_or_long_json_hears_of_the_key(body: bytes, client: httpx.AsyncClient) -> None:
    answer = await client.post("/report", content=body, headers=STRANGER)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("scheme", ["Bearer ", "Token ", "bearer  "])
async def test_any_scheme_will_do(scheme: str, service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await client.post("/report", content=b"{}", headers={"authorization": scheme + service.texts.good})
    assert answer.status_code == 200


async def test_a_read_only_key_is_told_so_after_validation(service: IngestService, client: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {service.texts.read_only}"}
    invalid = await client.post("/report", content=b'{"tags":[]}', headers=headers)
    valid = await client.post("/report", content=b"{}", headers=headers)
    assert (invalid.status_code, valid.status_code) == (400, 401)
    assert valid.json() == {
        "message": "You are trying to call a write operation with a read-only API key.",
        "code": "UNAUTHORIZED",
    }
    assert service.bus.records == []


@pytest.mark.parametrize("path", ["/api/v1/check-cache", "/check-cache"])
async def test_there_is_never_a_cached_reply(path: str, service: IngestService, client: httpx.AsyncClient) -> None:
    body = b'{"requestedAt":1700000000000,"reqPayload":{"model":"m"},"tags":{"a":"b"}}'
    answer = await client.post(path, content=body, headers=service.openpipe)
    assert (answer.status_code, answer.content) == (200, b'{"respPayload":null}')
    assert service.bus.records == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"requestedAt":null}'])
async def test_check_cache_requires_a_time(body: bytes, service: IngestService, client: httpx.AsyncClient) -> None:
    answer = await post(client, service, body, "check-cache")
    assert answer.status_code == 400
    assert [(issue["path"], issue["message"]) for issue in answer.json()["issues"]] == [(["requestedAt"], "Required")]


async def test_check_cache_asks_for_a_key_as_well(client: httpx.AsyncClient) -> None:
    answer = await client.post("/check-cache", content=b'{"requestedAt":1}', headers=STRANGER)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
