"""The single call and its media: everything that is stored, for those who may see it and nobody else."""

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest

from ledger.bus import Position
from ledger.ids import ProjectId, keyed_id
from ledger.patch import KeyEntry
from ledger.request_log import Bodies, CostStatus
from tests.support.builders import A_TIME, ID_SECRET, a_request_log, an_id
from tests.support.query_service import QueryService

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
SHOP = ProjectId("shop")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_every_field_of_a_call_is_shown(service: QueryService) -> None:
    media: list[dict[str, Any]] = [
        {"side": "request", "type": "image", "title": "A cat", "kind": "base64", "sha256": sha256(PNG), "bytes": 14},
        {"side": "response", "type": "image", "title": None, "kind": "url", "data": "https://example.com/a.png"},
    ]
    await service.add(
        a_request_log(
            source="log_entry",
            ttft_ms=80,
            is_error=True,
            error="boom",
            finish_reason="stop",
            service_tier="default",
            session_id="s1",
            trace_id="t1",
            environment="prod",
            description="a note",
            cache_read_tokens=1,
            cache_write_tokens=5,
            cache_write_5m_tokens=2,
            cache_write_1h_tokens=3,
            reasoning_tokens=4,
            audio_input_tokens=6,
            audio_output_tokens=7,
            cost_provided=1_500_000_000_000,
            cost_computed=60_000_001,
            cost=1_500_000_000_000,
            cost_status=CostStatus.PROVIDED,
            cost_reason="given",
            http_url="https://api.example.com",
            http_method="PUT",
            http_ip="10.0.0.1",
            bodies=Bodies(
                prompt="Say hello",
                completion="Hello!",
                raw_request='{"b":1,  "a": 1.0}',
                raw_response="not json",
                raw_stream="data: [DONE]\n\n",
                media=json.dumps(media),
                extra='{"unknown": [1, 2]}',
                request_headers='{"X-A":"b"}',
                response_headers="{}",
            ),
        )
    )
    answer = await service.get(f"/api/v1/requests/{an_id(A_TIME, 1)}")
    assert answer.json() == {
        "id": an_id(A_TIME, 1),
        "project": "shop",
        "source": "log_entry",
        "created_at": "2026-03-14T15:09:26.535Z",
        "ingested_at": "2026-03-14T15:09:26.540Z",
        "updated_at": "2026-03-14T15:09:26.540Z",
        "requested_at": "2026-03-14T15:09:26.535Z",
        "received_at": "2026-03-14T15:09:27.735Z",
        "duration_ms": 1200.0,
        "ttft_ms": 80,
        "provider": "openai",
        "model_requested": "gpt-4o",
        "model_served": "gpt-4o-2024-08-06",
        "status_code": 200,
        "is_error": True,
        "error": "boom",
        "streamed": False,
        "cached": False,
        "finish_reason": "stop",
        "service_tier": "default",
        "provider_response_id": "chatcmpl-1",
        "user_id": "user:1",
        "session_id": "s1",
        "trace_id": "t1",
        "environment": "prod",
        "description": "a note",
        "metadata": {"env": "prod"},
        "input_tokens": 12,
        "output_tokens": 3,
        "total_tokens": 15,
        "cache_read_tokens": 1,
        "cache_write_tokens": 5,
        "cache_write_5m_tokens": 2,
        "cache_write_1h_tokens": 3,
        "reasoning_tokens": 4,
        "audio_input_tokens": 6,
        "audio_output_tokens": 7,
        "cost_provided": "1.5",
        "cost_computed": "0.000060000001",
        "cost": "1.5",
        "cost_status": "provided",
        "cost_reason": "given",
        "price_version": "2026-03",
        "http_url": "https://api.example.com",
        "http_method": "PUT",
        "http_ip": "10.0.0.1",
        "prompt": "Say hello",
        "completion": "Hello!",
        "raw_request": '{"b":1,  "a": 1.0}',
        "raw_response": "not json",
        "raw_stream": "data: [DONE]\n\n",
        "request_headers": '{"X-A":"b"}',
        "response_headers": "{}",
        "media": [{**media[0], "href": f"/api/v1/media/{sha256(PNG)}"}, media[1]],
        "extra": {"unknown": [1, 2]},
    }


async def test_what_is_unknown_of_a_call_is_null(service: QueryService) -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        ("received_at", "duration_ms", "provider", "model_requested", "model_served", "status_code", "user_id")
    )
    counts: dict[str, Any] = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens", "provider_response_id"))
    money: dict[str, Any] = {"cost": None, "cost_computed": None, "price_version": ""}
    await service.add(a_request_log(metadata=(), bodies=Bodies(), **unknown, **counts, **money))
    shown = (await service.get(f"/api/v1/requests/{an_id(A_TIME, 1)}")).json()
    assert {name: shown[name] for name in (*unknown, *counts, *money)} == dict.fromkeys((*unknown, *counts, *money))
    assert (shown["metadata"], shown["media"], shown["extra"]) == ({}, [], None)


async def test_a_keyed_id_is_found_at_the_time_of_its_first_use(service: QueryService) -> None:
    id_ = keyed_id("order-7", ID_SECRET)
    later = KeyEntry(SHOP, id_, Position(1, 0, 9), A_TIME + 5000, "hash")
    first = KeyEntry(SHOP, id_, Position(1, 0, 3), A_TIME, "hash")
    await service.store.insert_key_entries([later, first], uuid4().hex)
    assert (await service.get(f"/api/v1/requests/{id_}")).status_code == 404
    await service.add(a_request_log(id=id_))
    assert (await service.get(f"/api/v1/requests/{id_}")).json()["id"] == id_
    assert (await service.get(f"/api/v1/requests/{id_}", service.keys.everything)).status_code == 200
    assert (await service.get(f"/api/v1/requests/{id_}", service.keys.bank)).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        an_id(A_TIME, 2),
        an_id(2**48 - 1, 1),
        keyed_id("nothing", ID_SECRET),
        "00000000-0000-0000-0000-000000000000",
        "nonsense",
        "{" + an_id(A_TIME, 1) + "}",
        an_id(A_TIME, 1).replace("-", ""),
        "' OR 1 --",
        "%00",
    ],
)
async def test_an_unknown_or_malformed_id_is_not_found(service: QueryService, text: str) -> None:
    await service.add(a_request_log())
    answer = await service.get(f"/api/v1/requests/{text}")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


async def test_a_project_cannot_see_the_calls_of_another(service: QueryService) -> None:
    await service.add(a_request_log())
    path = f"/api/v1/requests/{an_id(A_TIME, 1)}"
    assert (await service.get(path, service.keys.bank)).status_code == 404
    assert (await service.get(path, service.keys.everything)).json()["project"] == "shop"


async def test_an_image_is_shown_as_what_its_bytes_are(service: QueryService) -> None:
    await service.blobs.put(SHOP, sha256(PNG), PNG)
    await service.add(a_request_log(media_hashes=("0" * 64, sha256(PNG))))
    answer = await service.get(f"/api/v1/media/{sha256(PNG)}")
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["etag"] == f'"{sha256(PNG)}"'


async def test_a_known_image_is_not_sent_again(service: QueryService) -> None:
    await service.blobs.put(SHOP, sha256(PNG), PNG)
    await service.add(a_request_log(media_hashes=(sha256(PNG),)))
    headers = {"If-None-Match": f'W/"{sha256(PNG)}"', "X-Api-Key": service.keys.shop}
    async with service.http() as client:
        answer = await client.get(f"/api/v1/media/{sha256(PNG)}", headers=headers)
        foreign = await client.get(f"/api/v1/media/{sha256(PNG)}", headers={**headers, "X-Api-Key": service.keys.bank})
    assert (answer.status_code, answer.content) == (304, b"")
    assert foreign.status_code == 404


@pytest.mark.parametrize("data", [SVG, b"<html><script>alert(1)</script></html>", b"", b"GIF"])
async def test_what_is_no_image_is_a_file_to_save(service: QueryService, data: bytes) -> None:
    await service.blobs.put(SHOP, sha256(data), data)
    await service.add(a_request_log(media_hashes=(sha256(data),)))
    answer = await service.get(f"/api/v1/media/{sha256(data)}")
    assert answer.content == data
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_media_that_no_call_of_the_project_names_are_not_found(service: QueryService) -> None:
    hash_ = sha256(PNG)
    await service.blobs.put(SHOP, hash_, PNG)
    await service.blobs.put(ProjectId("bank"), hash_, PNG)
    path = f"/api/v1/media/{hash_}"
    assert (await service.get(path)).status_code == 404
    await service.add(a_request_log(media_hashes=(hash_,)))
    assert (await service.get(path)).status_code == 200
    assert (await service.get(path, service.keys.bank)).status_code == 404
    assert (await service.get(path, service.keys.everything)).status_code == 200
    await service.add(a_request_log(version=2, media_hashes=()))
    assert (await service.get(path)).status_code == 404


async def test_media_that_are_named_but_gone_are_not_found(service: QueryService) -> None:
    await service.add(a_request_log(media_hashes=(sha256(PNG),)))
    assert (await service.get(f"/api/v1/media/{sha256(PNG)}")).status_code == 404
    assert (await service.get("/api/v1/media/..%2f..%2fetc%2fpasswd")).status_code == 404
    assert (await service.get(f"/api/v1/media/{sha256(PNG).upper()}")).status_code == 404
