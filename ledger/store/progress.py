"""How far each partition of the bus has got into the store: what a start compares with where the bus ends."""

from collections.abc import Mapping

from ledger.store.clickhouse import ClickHousePool

_HIGHEST = """
SELECT place, max(highest) FROM (
    SELECT partition AS place, max(offset) AS highest FROM bus_progress
    WHERE generation = {generation:UInt8} GROUP BY partition
    UNION ALL
    SELECT bus_partition AS place, max(bus_offset) AS highest FROM request_logs
    WHERE bus_generation = {generation:UInt8} GROUP BY bus_partition
) GROUP BY place
"""


async def highest_offsets(pool: ClickHousePool, generation: int) -> Mapping[int, int]:
    """The highest offset of each partition of this generation that the store has seen; no entry where it has none.

    Raises `StoreUnavailable`, `StoreBroken`.
    """
    found = await pool.run(lambda client: client.query(_HIGHEST, parameters={"generation": generation}))
    return {int(partition): int(highest) for partition, highest in found.result_rows}
