"""The embedded engine's disk is full: a reason to wait, also where the driver's own temporary file meets it first."""

import errno
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver import Client

from ledger.store import StoreUnavailable
from ledger.store.clickhouse import ClickHousePool


@pytest.fixture
def pool(chdb_dsn: str) -> Iterator[ClickHousePool]:
    pool = ClickHousePool(chdb_dsn, threads=1)
    yield pool
    pool.close()


def failing(number: int) -> None:
    raise OSError(number, "as the operating system says")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_no_room_for_a_temporary_file_is_waited_for(pool: ClickHousePool, number: int) -> None:
    def insert(_: Client) -> None:
        failing(number)

    with pytest.raises(StoreUnavailable, match="no room"):
        await pool.run(insert)


async def test_another_error_of_the_system_is_not(pool: ClickHousePool) -> None:
    def insert(_: Client) -> None:
        failing(errno.EACCES)

    with pytest.raises(PermissionError):
        await pool.run(insert)
