"""The first page of the list over HTTP, beside the best plain SQL for the same page: no FINAL, no HTTP."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_connect.driver import Client

from deploy.data_folder import DataFolder
from deploy.http_server import bind, serve
from ledger.blobs.obstore import ObstoreBlobs
from ledger.key_file import edit
from ledger.keys import KeyFileContent, KeyRing, Scope, with_new_key
from ledger.settings import BlobsSection, KeysSection, StoreSection
from ledger.store.clickhouse import ClickHousePool
from ledger.store.columns import ROW_COLUMNS, select_list
from ledger.store.migrations import available, drive, migrate
from query_api.app import create_app
from query_api.settings import QuerySettings
from query_api.views import LISTED_BODIES
from tests.bench.figures import Figure
from tests.bench.listing_rows import PROJECT, fill, settle
from tests.bench.load import Endpoint, counted_load
from tests.bench.plan import Plan

_SETTLE_SECONDS = 20.0
_OWN_LIMIT, _DOCUMENTED_SIZE = 50, 10
_ROW_LIST, _BODY_LIST = select_list(ROW_COLUMNS), ", ".join(LISTED_BODIES)
_WHERE = f"project = '{PROJECT}' AND is_deleted = 0"
_NEWEST = "ORDER BY created_at DESC, id DESC LIMIT"

Ask = Callable[[Client], Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as our API gives it, and ways to have the same from the engine."""

    name: str
    path: str
    plain: Sequence[Ask]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of so many askings, in milliseconds."""

    p50: float
    p99: float
    count: int
    seconds: float


def _at_once(size: int) -> Ask:
    sql = f"SELECT {_ROW_LIST} FROM request_logs WHERE {_WHERE} {_NEWEST} {size}"
    return lambda client: client.query(sql).result_rows


def _keys_first(size: int) -> Ask:
    keys = f"SELECT created_at, id FROM request_logs WHERE {_WHERE} {_NEWEST} {size}"
    sql = f"SELECT {_ROW_LIST} FROM request_logs WHERE {_WHERE} AND (created_at, id) IN ({keys}) {_NEWEST} {size}"
    return lambda client: client.query(sql).result_rows


def _with_bodies_and_count(rows: Ask, size: int) -> Ask:
    keys = f"SELECT created_at, id FROM request_logs WHERE {_WHERE} {_NEWEST} {size}"
    bodies = f"SELECT id, {_BODY_LIST} FROM request_bodies WHERE {_WHERE} AND (created_at, id) IN ({keys})"
    count = f"SELECT count() FROM request_logs WHERE {_WHERE}"
    return lambda client: (
        client.query(count).result_rows,
        rows(client),
        client.query(bodies).result_rows,
    )


PAGES = (
    Page(
        f"own form, {_OWN_LIMIT} rows",
        f"/api/v1/requests?view=full&limit={_OWN_LIMIT}",
        (_at_once(_OWN_LIMIT + 1), _keys_first(_OWN_LIMIT + 1)),
    ),
    Page(
        f"documented form, {_DOCUMENTED_SIZE} rows, total and bodies",
        "/api/v1/requests",
        tuple(_with_bodies_and_count(way(_DOCUMENTED_SIZE), _DOCUMENTED_SIZE) for way in (_at_once, _keys_first)),
    ),
)


def asked(client: Client, ask: Ask, times: int, seconds: float) -> Latencies:
    """Ask that often, one after the other, or as often as there is time for."""
    taken: list[float] = []
    started = time.perf_counter()
    while len(taken) < times and time.perf_counter() - started < seconds:
        before = time.perf_counter()
        ask(client)
        taken.append(1000 * (time.perf_counter() - before))
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return Latencies(cuts[49], cuts[98], len(taken), time.perf_counter() - started)


def measured(plan: Plan) -> list[Figure]:
    """Both forms of the first page over so many stored calls."""
    return asyncio.run(_measured(plan.home(), plan.listed, plan.requests, plan.listing_seconds))


async def _measured(folder: Path, rows: int, requests: int, seconds: float) -> list[Figure]:
    data = DataFolder(folder)
    data.make()
    data.prepare()
    pool = ClickHousePool(data.store_dsn, threads=4, engine_config=data.engine_config)
    await pool.run(lambda client: drive(migrate(available()), client))
    await pool.run(lambda client: fill(client, rows))
    await pool.run(lambda client: settle(client, _SETTLE_SECONDS))
    figures = []
    listener, stop = bind("127.0.0.1", 0), asyncio.Event()
    url, key = f"http://127.0.0.1:{listener.getsockname()[1]}", _new_key(data.keys)
    serving = asyncio.create_task(serve(_app(data, pool), listener, stop, drain_seconds=1))
    for page in PAGES:
        limit = await _best(pool, page.plain, requests, seconds)
        endpoint = Endpoint(f"{url}{page.path}", "GET", (("Authorization", f"Bearer {key}"),))
        await asyncio.to_thread(counted_load, endpoint, requests=10, seconds=seconds)
        ours = await asyncio.to_thread(counted_load, endpoint, requests=requests, seconds=seconds)
        name = f"list, {rows:,} stored, {page.name}"
        for share, mine, theirs in (("p50", ours.p50_ms, limit.p50), ("p99", ours.p99_ms, limit.p99)):
            figures.append(
                Figure(
                    name=f"{name}: {share}",
                    unit="ms",
                    ours=mine,
                    limit_name="the best plain SQL for it, without FINAL and HTTP",
                    limit=theirs,
                    count=ours.requests,
                    seconds=ours.seconds,
                )
            )
    stop.set()
    await serving
    pool.close()
    return figures


async def _best(pool: ClickHousePool, ways: Sequence[Ask], times: int, seconds: float) -> Latencies:
    results = []
    for ask in ways:
        await pool.run(lambda client, a=ask: asked(client, a, 10, seconds))  # type: ignore[misc]
        results.append(await pool.run(lambda client, a=ask: asked(client, a, times, seconds)))  # type: ignore[misc]
    return min(results, key=lambda result: result.p50)


def _app(data: DataFolder, pool: ClickHousePool) -> Any:
    settings = QuerySettings(StoreSection(data.store_dsn), KeysSection(data.keys), BlobsSection(data.blobs_url))
    return create_app(settings, pool=pool, keys=KeyRing(data.keys), blobs=ObstoreBlobs(data.blobs_url))


def _new_key(file: Path) -> str:
    made: list[str] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        new = with_new_key(content, PROJECT, [Scope.QUERY], "2026-01-01")
        made.append(new.key)
        return new.content

    edit(file, add)
    return made[0]
