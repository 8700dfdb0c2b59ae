"""What the store has seen of each partition: rows count, and so does what became a dead letter."""

from contextlib import closing

from ledger.bus import Position
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.progress import highest_offsets
from tests.support.builders import A_TIME, a_request_log, an_id


async def test_the_higher_of_rows_and_settled_places_counts_for_each_partition(chdb_schema_dsn: str) -> None:
    with closing(ClickHousePool(chdb_schema_dsn, threads=1)) as pool:
        store = ClickHouseStore(pool)
        assert await highest_offsets(pool, 3) == {}
        rows = [a_request_log(id=an_id(A_TIME, partition), position=Position(3, partition, 10)) for partition in (0, 1)]
        await store.insert_rows(rows, "rows")
        await store.insert_progress([Position(3, 1, 12), Position(3, 2, 0), Position(4, 0, 99)])
        await store.insert_progress([Position(3, 1, 11)])
        assert await highest_offsets(pool, 3) == {0: 10, 1: 12, 2: 0}
