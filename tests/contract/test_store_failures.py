"""What a store says when it cannot: whose fault it is, on every engine."""

from typing import Any

import pytest
from msgspec.structs import replace

from ledger.errors import StoreUnavailable
from ledger.ids import ProjectId
from ledger.store import DataRefused, StoreBroken
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore, insert
from ledger.store.columns import ROW_COLUMNS
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.events import an_update

SHOP = ProjectId("shop")

UNFIT: list[dict[str, Any]] = [{"version": 2**64}, {"status_code": 2**31}, {"input_tokens": 2**63}, {"version": -1}]


@pytest.mark.parametrize("changes", UNFIT, ids=str)
async def test_a_row_that_does_not_fit_is_refused_and_its_neighbour_is_not(
    pool: ClickHousePool, changes: dict[str, Any]
) -> None:
    store = ClickHouseStore(pool)
    row, neighbour = a_request_log(id=an_id(A_TIME, 1)), a_request_log(id=an_id(A_TIME, 2))
    with pytest.raises(DataRefused):
        await store.insert_rows([neighbour, replace(row, **changes)], "token")
    light = replace(neighbour, bodies=None)
    await store.insert_rows([light], "alone")
    assert await store.rows([row.key, neighbour.key], with_bodies=False) == [light]


async def test_what_the_engine_itself_refuses_of_the_data_is_refused(pool: ClickHousePool) -> None:
    month = 31 * 24 * 3600 * 1000
    rows = [a_request_log(created_at=A_TIME - number * month) for number in range(110)]
    with pytest.raises(DataRefused, match="252"):
        await pool.run(lambda client: insert(client, "request_logs", ROW_COLUMNS, rows, "token"))


async def test_a_missing_table_is_broken(pool: ClickHousePool) -> None:
    await pool.run(lambda client: client.command("DROP TABLE request_patches SYNC"))
    store = ClickHouseStore(pool)
    with pytest.raises(StoreBroken, match="60"):
        await store.insert_patches([an_update({}).patch], "token")
    with pytest.raises(StoreBroken, match="60"):
        await store.patches([(SHOP, an_id(A_TIME, 1))])


async def test_a_missing_column_is_broken(pool: ClickHousePool) -> None:
    await pool.run(lambda client: client.command("ALTER TABLE request_logs DROP COLUMN environment"))
    with pytest.raises(StoreBroken):
        await ClickHouseStore(pool).insert_rows([a_request_log()], "token")


async def test_a_limit_of_time_or_memory_is_unavailable(pool: ClickHousePool) -> None:
    for limit in ({"max_execution_time": 0.01}, {"max_memory_usage": 1_000_000}):
        sql = "SELECT uniqExact(number) FROM numbers(1000000000)"
        with pytest.raises(StoreUnavailable):
            await pool.run(lambda client, limit=limit, sql=sql: client.query(sql, settings=limit))  # type: ignore[misc]


async def test_a_server_that_is_away_is_unavailable() -> None:
    pool = ClickHousePool("http://127.0.0.1:1/nowhere", threads=1)
    store = ClickHouseStore(pool)
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await store.insert_rows([a_request_log()], "token")
    pool.close()
