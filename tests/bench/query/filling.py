"""Fills the tables through the store's own adapter, batch by batch, while the next batch is being made.

A process of its own: `python -m tests.bench.query.filling FOLDER --rows N`.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from clickhouse_connect.driver import Client

from deploy.data_folder import DataFolder
from ledger.request_log import RequestLog
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.migrations import available, drive, migrate
from tests.bench.query.dataset import Batch, Dataset, Parameters
from tests.bench.query.marker import write_marker

TABLES = ["request_logs", "request_bodies"]

_SAY_EVERY_SECONDS = 20.0
_OLD_PARTS_SECONDS = 1
_TIDY_SECONDS = 120.0
_TIDIED_ROWS = 500_000  # the engine tidies every half minute: what is smaller is not worth waiting for it


async def run(folder: Path, rows: int) -> None:
    """Make a data set that ends now."""
    data, started = DataFolder(folder), time.monotonic()
    data.make()
    data.prepare()
    pool = ClickHousePool(data.store_dsn, threads=2, engine_config=data.engine_config)
    await pool.run(lambda client: drive(migrate(available()), client))
    usual = await pool.run(lambda client: keep_old_parts(client, _OLD_PARTS_SECONDS))
    parameters = Parameters(rows, int(time.time() * 1000))
    sent = await fill(ClickHouseStore(pool), Dataset(parameters), _say)
    if rows >= _TIDIED_ROWS:
        await pool.run(tidy)
    await pool.run(lambda client: keep_old_parts(client, usual))
    pool.close()
    write_marker(folder, parameters, sent, time.monotonic() - started)


def keep_old_parts(client: Client, seconds: int) -> int:
    """Keep parts for so long after they were merged; how long it was before. They would take most of the disk."""
    found = client.query("SELECT create_table_query FROM system.tables WHERE name = 'request_logs'").result_rows
    before = re.search(r"old_parts_lifetime = (\d+)", found[0][0])
    if before is None:
        raise AssertionError(f"The schema does not say how long old parts are kept: {found[0][0]}")
    for table in TABLES:
        client.command(f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = {seconds}")
    return int(before[1])


def tidy(client: Client) -> None:
    """Stop merging, and return when nothing is on disk but what is in use."""
    client.command("SYSTEM STOP MERGES")
    old = "SELECT count() FROM system.parts WHERE NOT active AND table IN {tables:Array(String)}"
    give_up_at = time.monotonic() + _TIDY_SECONDS
    while client.query(old, parameters={"tables": TABLES}).result_rows[0][0]:
        if time.monotonic() > give_up_at:
            _say("  old parts are still on disk, which costs room and nothing else")
            break
        time.sleep(0.2)


async def fill(store: ClickHouseStore, data: Dataset, say: Callable[[str], None]) -> int:
    """Store all rows; how many were sent, with updates and repeats."""
    batches, sent, said_at = data.batches(), 0, time.monotonic()
    batch = next(batches, None)
    while batch is not None:
        sent += len(batch.rows) + len(batch.repeats)
        batch, _ = await asyncio.gather(asyncio.to_thread(_next, batches), _stored(store, batch))
        if time.monotonic() - said_at > _SAY_EVERY_SECONDS:
            said_at = time.monotonic()
            say(f"  {sent:,} rows so far")
    return sent


async def write(store: ClickHouseStore, rows: Sequence[RequestLog]) -> None:
    """Insert these rows as a worker does: bodies first, then what lists them."""
    token = uuid4().hex
    await store.insert_bodies(rows, token)
    await store.insert_rows(rows, token)


async def _stored(store: ClickHouseStore, batch: Batch) -> None:
    for rows in (batch.rows, batch.repeats):
        if rows:
            await write(store, rows)


def _next(batches: Iterator[Batch]) -> Batch | None:
    return next(batches, None)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(run(options.folder, options.rows))
    os._exit(0)  # the embedded engine can crash while the interpreter tears itself down
