"""What a failed statement leaves behind reaches nobody: not the next one on its thread, not another project."""

import pytest
from clickhouse_connect.driver import Client

from ledger.errors import LedgerError
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from tests.support.builders import a_request_log
from tests.support.chdb_fixtures import with_schema

TOO_MUCH: list[tuple[str, dict[str, object]]] = [
    (
        "SELECT number, toString(number) FROM numbers(1000000)",
        {"max_result_rows": 100000, "result_overflow_mode": "throw"},
    ),
    ("SELECT number, throwIf(number = 900000) FROM numbers(1000000)", {}),
    ("SELECT number FROM numbers(100000000) ORDER BY cityHash64(number)", {"max_memory_usage": 10000000}),
]


@pytest.mark.parametrize(("sql", "settings"), TOO_MUCH)
async def test_the_next_statement_gets_its_own_answer(
    chdb_schema_dsn: str, sql: str, settings: dict[str, object]
) -> None:
    pool = ClickHousePool(chdb_schema_dsn, threads=1)

    def too_much(client: Client) -> object:
        return client.query(sql, settings=settings).result_rows

    def answer(client: Client) -> object:
        return client.query("SELECT 42").result_rows

    try:
        for _ in range(3):
            with pytest.raises(LedgerError):
                await pool.run(too_much)
            assert await pool.run(answer) == [(42,)]
    finally:
        pool.close()


async def test_the_store_knows_the_highest_offset_of_a_generation(chdb_dsn: str) -> None:
    pool = ClickHousePool(with_schema(chdb_dsn), threads=1)
    try:
        store = ClickHouseStore(pool)
        assert await store.highest_offset(1) == 0
        row = a_request_log()
        await store.insert_rows([row], "token")
        assert await store.highest_offset(row.position.generation) == row.position.offset
    finally:
        pool.close()
