"""The door of the admin endpoints: no key, no body; and a body has bounds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, post

from query_api.admin.door import MAX_BODY_BYTES, body_within
from query_api.errors import AnyRequest
from tests.support.query_service import QueryService, query_service

PATH = "/api/v1/admin/delete"
DEEP = b'{"filter":' + b'{"a":' * 12_000 + b"1" + b"}" * 12_000 + b"}"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[QueryService]:
    """A service whose store is never asked."""
    with query_service("http://127.0.0.1:9/nowhere", tmp_path) as running:
        yield running


async def posted(service: QueryService, body: Any, key: str) -> httpx.Response:
    async with service.http() as client:
        headers = {"Authorization": key, "Content-Type": "application/json"}
        return await client.post(PATH, content=body, headers=headers)


async def never_ends() -> AsyncIterator[bytes]:
    yield b'{"id":'
    await asyncio.Event().wait()


@pytest.mark.parametrize("body", [DEEP, b"{", b"x" * (MAX_BODY_BYTES + 1)])
async def test_without_a_key_the_body_is_not_looked_at(service: QueryService, body: bytes) -> None:
    assert (await posted(service, body, "nobody")).status_code == 401


async def test_without_the_scope_a_body_that_never_ends_is_not_waited_for(service: QueryService) -> None:
    assert (await posted(service, never_ends(), service.keys.shop)).status_code == 403


async def test_a_deep_body_is_refused_as_such(service: QueryService) -> None:
    answer = await posted(service, DEEP[: MAX_BODY_BYTES // 2], service.keys.admin_of_all)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_a_large_body_is_refused_as_such(service: QueryService) -> None:
    answer = await posted(service, b" " * (MAX_BODY_BYTES + 1), service.keys.admin_of_all)
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


async def test_a_body_that_never_ends_is_given_up() -> None:
    @post("/", before_request=body_within(0.01))
    async def take(request: AnyRequest) -> str:
        return "taken"

    transport = httpx.ASGITransport(cast(Any, Litestar([take])))
    async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as client:
        assert (await client.post("/", content=never_ends())).status_code == 408
