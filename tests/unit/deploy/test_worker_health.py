"""The health pages of the workers: ready while they read, live until they have failed for good."""

import httpx
import pytest

from deploy.services import worker_health
from workers.vitals import Vitals


async def asked(vitals: Vitals, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=worker_health(vitals))  # type: ignore[arg-type]  # litestar's types of ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://workers") as client:
        return await client.get(path)


@pytest.mark.parametrize(("ready", "status"), [(False, 503), (True, 200)])
async def test_they_are_ready_while_they_read(ready: bool, status: int) -> None:
    assert (await asked(Vitals(ready=ready), "/health/ready")).status_code == status


async def test_they_are_live_while_they_wait_for_kafka_or_the_store() -> None:
    answer = await asked(Vitals(lag=1_000_000), "/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_they_are_not_live_once_they_have_failed_and_say_why() -> None:
    answer = await asked(Vitals(failure="RecordsLost: partition 3: 0 to 5 are gone"), "/health/live")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "reason": "RecordsLost: partition 3: 0 to 5 are gone"}


async def test_there_is_nothing_else_on_their_port() -> None:
    assert (await asked(Vitals(), "/api/v1/requests")).status_code == 404
