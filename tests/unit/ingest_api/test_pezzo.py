"""Pezzo: both headers, every failed check at once, and the figures that the answer carries."""

from hashlib import sha256
from typing import Any

import httpx
import pytest

from ledger.report import Kind
from tests.unit.ingest_api.service import FOREIGN_PROJECT, PROJECT, IngestService, a_pezzo_report, as_json

PATH = "/api/reporting/v2/request"
REPLY_TIME = "2026-01-01T00:00:01.500Z"


async def report(client: httpx.AsyncClient, service: IngestService, body: Any) -> httpx.Response:
    return await client.post(PATH, content=as_json(body), headers=service.pezzo)


@pytest.mark.parametrize("path", [PATH, "/reporting/v2/request"])
async def test_an_accepted_report_is_on_the_bus_as_it_came(
    path: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    body = as_json(a_pezzo_report(unknown={"a": 1}))
    answer = await client.post(path, content=body, headers=service.pezzo)
    envelope = service.envelope()
    assert answer.json()["reportId"] == envelope.record_id
    assert answer.headers["LLMLedger-Position"] == "1-0-0"
    assert "LLMLedger-Log-Id" not in answer.headers
    assert (envelope.kind, envelope.created_at) == (Kind.PEZZO_REQUEST, 1767225600000)
    assert [record.body for record in service.bus.records] == [body]


@pytest.mark.parametrize(
    ("usage", "prompt", "completion", "total"),
    [
        ({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 99}, 11, 7, 18),
        ({"input_tokens": 504, "cache_creation_input_tokens": 123, "cache_read_input_tokens": 1000}, 1627, None, None),
        ({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": None}, 3, 4, 7),
        ({"prompt_tokens": 0, "completion_tokens": 0}, 0, 0, 0),
        ({"prompt_tokens": "11", "completion_tokens": -1}, None, None, None),
        ({"pad": "x" * 100_000, "prompt_tokens": 1}, None, None, None),
        (None, None, None, None),
        ([], None, None, None),
    ],
)
async def test_tokens_are_told_as_far_as_they_are_known(
    usage: Any,
    prompt: int | None,
    completion: int | None,
    total: int | None,
    service: IngestService,
    client: httpx.AsyncClient,
) -> None:
    response = {"timestamp": REPLY_TIME, "body": {"usage": usage}}
    answer = await report(client, service, a_pezzo_report(response=response))
    figures = {"duration": 1500, "promptTokens": prompt, "completionTokens": completion, "totalTokens": total}
    assert (answer.status_code, answer.json()["calculated"]) == (200, figures)


@pytest.mark.parametrize("reply_time", ["2025-12-31T23:59:59Z", "1950-01-01"])
async def test_a_duration_below_zero_or_without_a_storable_time_is_unknown(
    reply_time: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await report(client, service, a_pezzo_report(response={"timestamp": reply_time}))
    assert (answer.status_code, answer.json()["calculated"]["duration"]) == (200, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"response": {"timestamp": REPLY_TIME}},
        {"response": {"timestamp": REPLY_TIME, "body": None, "status": None}},
        {"response": {"timestamp": "2026-01-01T00:00:01.5", "body": {"controller": {}}, "status": "404"}},
        {"properties": None, "cacheEnabled": None, "cacheHit": None},
        {"properties": {"userId": "u", "deep": {"a": [1]}}, "cacheEnabled": True, "cacheHit": True},
        {"metadata": {"provider": "anthropic", "client": "", "clientVersion": "", "environment": "", "type": None}},
    ],
)
async def test_a_lenient_report_is_accepted(
    changes: dict[str, Any], service: IngestService, client: httpx.AsyncClient
) -> None:
    assert (await report(client, service, a_pezzo_report(**changes))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"metadata": None}, ["metadata must be an object"]),
        ({"properties": []}, ["properties must be an object"]),
        ({"request": None, "response": []}, ["request must be an object", "response must be an object"]),
        (
            {"request": {"timestamp": 5, "body": "x"}},
            ["request.timestamp must be a valid ISO 8601 date string", "request.body must be an object"],
        ),
        (
            {"response": {"timestamp": "soon", "body": [], "status": {}}},
            [
                "response.timestamp must be a valid ISO 8601 date string",
                "response.body must be an object",
                "response.status must be a number",
            ],
        ),
        ({"response": {"timestamp": REPLY_TIME, "status": "ok"}}, ["response.status must be a number"]),
        (
            {"cacheEnabled": 1, "cacheHit": "no"},
            ["cacheEnabled must be a boolean value", "cacheHit must be a boolean value"],
        ),
        (
            {"metadata": {"provider": "Acme", "client": 1, "promptId": 2, "promptVersionSha": 3, "type": 4}},
            [
                "metadata.provider must be one of the following values: OpenAI, Azure, Anthropic",
                "metadata.client must be a string",
                "metadata.clientVersion must be a string",
                "metadata.environment must be a string",
                "metadata.promptId must be a string",
                "metadata.promptVersionSha must be a string",
                "metadata.type must be a string",
            ],
        ),
    ],
)
async def test_every_failed_check_is_told(
    changes: dict[str, Any], sentences: list[str], service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await report(client, service, a_pezzo_report(**changes))
    assert answer.json() == {"statusCode": 400, "message": sentences, "error": "Bad Request"}
    assert answer.status_code == 400
    assert service.bus.records == []


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"null", b'{"a":1e999}'])
async def test_a_body_that_is_no_object_is_refused_with_a_text(
    body: bytes, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await client.post(PATH, content=body, headers=service.pezzo)
    assert answer.status_code == 400
    assert isinstance(answer.json()["message"], str)


async def refusal(client: httpx.AsyncClient, project: str | None, key: str | None, body: bytes = b"{bad") -> str:
    headers = {"x-pezzo-project-id": project, "x-pezzo-api-key": key}
    given = {name: value for name, value in headers.items() if value is not None}
    answer = await client.post(PATH, content=body, headers=given)
    assert (answer.status_code, answer.json()["statusCode"], answer.json()["error"]) == (401, 401, "Unauthorized")
    return str(answer.json()["message"])


async def test_the_project_is_checked_first_then_the_key_then_whether_they_belong_together(
    service: IngestService, client: httpx.AsyncClient
) -> None:
    texts = service.texts
    assert await refusal(client, None, texts.good) == "Invalid Pezzo Project ID"
    assert await refusal(client, "nowhere", texts.good) == "Invalid Pezzo Project ID"
    assert await refusal(client, PROJECT, None) == "Pezzo API Key Not Provided"
    assert await refusal(client, PROJECT, "nobody") == "Invalid Pezzo API Key"
    assert await refusal(client, PROJECT, texts.read_only) == "Invalid Pezzo API Key"
    assert await refusal(client, FOREIGN_PROJECT, texts.good) == "Invalid Pezzo Project ID"


@pytest.mark.parametrize("prefix", ["/api", ""])
async def test_the_cache_never_hits_and_keeps_nothing(
    prefix: str, service: IngestService, client: httpx.AsyncClient
) -> None:
    retrieved = await client.post(
        f"{prefix}/cache/v1/request/retrieve", content=b'{"request":{"model":"m"}}', headers=service.pezzo
    )
    saved = await client.post(
        f"{prefix}/cache/v1/request/save",
        content=b'{"request":{"b":[1,2],"a":"x"},"response":5}',
        headers=service.pezzo,
    )
    assert (retrieved.status_code, retrieved.json()) == (200, {"hit": False, "data": None})
    assert saved.status_code == 200
    assert saved.json() == {
        "hash": sha256(b'{"a":"x","b":[1,2]}').hexdigest(),
        "exp": "2026-05-07T03:02:01.500Z",
    }
    assert service.bus.records == []


async def test_a_long_request_is_hashed_as_it_came(service: IngestService, client: httpx.AsyncClient) -> None:
    request = as_json({"b": "x" * 1024 * 1024, "a": 1})
    answer = await client.post("/cache/v1/request/save", content=b'{"request":' + request + b"}", headers=service.pezzo)
    assert answer.json()["hash"] == sha256(request).hexdigest()


@pytest.mark.parametrize("call", ["retrieve", "save"])
@pytest.mark.parametrize("body", [b"{}", b'{"request":null}'])
async def test_a_cache_call_without_a_request_is_refused(
    call: str, body: bytes, service: IngestService, client: httpx.AsyncClient
) -> None:
    answer = await client.post(f"/cache/v1/request/{call}", content=body, headers=service.pezzo)
    refusal = {"statusCode": 400, "message": ["request must be an object"], "error": "Bad Request"}
    assert (answer.status_code, answer.json()) == (400, refusal)
