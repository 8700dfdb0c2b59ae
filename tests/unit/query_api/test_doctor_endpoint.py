"""`/api/v1/admin/doctor`: one caller at a time, and an answer also while the store is away."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
from litestar import Litestar
from litestar.di import Provide

from ledger.doctor import Finding, ok
from ledger.filtering.reach import Reach
from ledger.store.clickhouse import ClickHousePool
from query_api.admin.doctor import Doctor, DoctorController
from query_api.admin.turns import Turns
from tests.support.kafka_settings import free_port
from tests.support.query_service import keys_in

PATH = "/api/v1/admin/doctor"


@dataclass
class SlowBus:
    """A bus that is looked at until it is let go."""

    looked_at: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> Sequence[Finding]:
        self.looked_at.set()
        await self.let_go.wait()
        return [ok("bus", "Slow.")]


def asking(doctor: Doctor) -> httpx.AsyncClient:
    dependencies = {
        "doctor": Provide(lambda: doctor, sync_to_thread=False),
        "admin_reach": Provide(lambda: Reach(None), sync_to_thread=False),
    }
    app = Litestar([DoctorController], dependencies=dependencies, logging_config=None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(cast(Any, app)), base_url="http://ledger")


async def test_who_asks_while_another_is_told_is_sent_away_for_a_moment(tmp_path: Path) -> None:
    bus, dsn = SlowBus(), f"http://127.0.0.1:{free_port()}/default"
    with closing(ClickHousePool(dsn, threads=1)) as pool:
        async with asking(Doctor(pool, keys_in(tmp_path).file, bus, turns=Turns(patience_seconds=0))) as client:
            first = asyncio.create_task(client.get(PATH))
            await bus.looked_at.wait()
            refused = await client.get(PATH)
            bus.let_go.set()
            answer = await first
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert "try again" in refused.json()["error"]
    assert answer.status_code == 200
    levels = {finding["part"]: finding["level"] for finding in answer.json()["findings"]}
    assert (levels["bus"], levels["store"]) == ("ok", "problem")
