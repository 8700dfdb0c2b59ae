"""The query service over a data set, in a process of its own, which also runs plain SQL beside it when it is told to.

Plain SQL goes through the service's own pool of clients. Its time is taken in the thread that asks.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from clickhouse_connect.driver import Client

from deploy.data_folder import DataFolder
from deploy.http_server import bind, serve
from ledger.blobs.obstore import ObstoreBlobs
from ledger.key_file import edit
from ledger.keys import KeyFileContent, KeyRing, Scope, with_new_key
from ledger.request_log import RequestLog
from ledger.settings import BlobsSection, KeysSection, StoreSection
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from query_api.app import create_app
from query_api.settings import QuerySettings
from tests.bench.query.commands import Command, Execute, Memory, Plain, Ready, Rows, Write
from tests.bench.query.dataset import PROJECT, Dataset, not_updated_yet, updated
from tests.bench.query.filling import write
from tests.bench.query.marker import read_marker

_KEPT_OF_A_BATCH = 500

_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class _Desk:
    """Carries out commands."""

    def __init__(self, pool: ClickHousePool, store: ClickHouseStore, data: Dataset) -> None:
        self._pool, self._store, self._data = pool, store, data
        self._next_row = data.parameters.rows
        self._known: dict[int, list[RequestLog]] = {}  # of each batch the rows that may be updated next

    async def carry_out(self, command: Command) -> object:
        match command:
            case Plain():
                return await self._pool.run(lambda client: timed(client, command))
            case Rows():
                return await self._pool.run(lambda client: client.query(command.sql).result_rows)
            case Execute():
                await self._pool.run(lambda client: client.command(command.sql))
            case Write():
                await write(self._store, self._rows(command))
            case Memory():
                return highest_memory()
        return None

    def _rows(self, command: Write) -> list[RequestLog]:
        first, self._next_row = self._next_row, self._next_row + command.new
        new = self._data.new_rows(-1, first=first, count=command.new)
        return [*new, *(updated(self._one_of(batch), self._next_row) for batch in command.updates)]

    def _one_of(self, batch: int) -> RequestLog:
        if not self._known.get(batch):  # or all of them were updated: then once more, as later events
            self._known[batch] = not_updated_yet(self._data.new_rows(batch))[:_KEPT_OF_A_BATCH]
        return self._known[batch].pop()


def timed(client: Client, plain: Plain) -> float:
    """How many milliseconds it takes to have all the rows of this way's statements."""
    before = time.perf_counter()
    for sql in plain.alone:
        _ = client.query(sql).result_rows
    if plain.keys and (found := client.query(plain.keys).result_rows):
        condition = _of_keys(found)
        for sql in plain.then:
            rows = client.query(sql.replace("{keys}", condition)).result_rows
            if len(rows) < len({tuple(key) for key in found}):
                raise AssertionError(f"The limit lost rows, {len(rows)} of {len(found)}: {sql}")
    return 1000 * (time.perf_counter() - before)


def _of_keys(found: Sequence[Sequence[Any]]) -> str:
    times = sorted({f"'{time}'" for time, _ in found})
    ids = [f"toUInt128('{id_}')" for _, id_ in found]  # a bare number so large is a float
    return (
        f"created_at >= {times[0]} AND created_at <= {times[-1]} AND created_at IN ({', '.join(times)})"
        f" AND id IN ({', '.join(ids)})"
    )


def highest_memory() -> int:
    """The highest resident memory since the last call, in bytes, where the system counts it; else 0."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    Path("/proc/self/clear_refs").write_text("5")  # begin anew
    return 1024 * int(found[1]) if found else 0


async def run(folder: Path) -> None:
    """Serve until stdin ends."""
    data = DataFolder(folder)
    data.make()
    data.prepare()
    settings = QuerySettings(StoreSection(data.store_dsn), KeysSection(data.keys), BlobsSection(data.blobs_url))
    pool = ClickHousePool(data.store_dsn, threads=settings.threads, engine_config=data.engine_config)
    writing = ClickHousePool(data.store_dsn, threads=1, engine_config=data.engine_config)
    listener, stop, key = bind("127.0.0.1", 0), asyncio.Event(), new_key(data.keys)
    app = create_app(settings, pool=pool, keys=KeyRing(data.keys), blobs=ObstoreBlobs(data.blobs_url))
    serving = asyncio.create_task(serve(app, listener, stop, drain_seconds=1))
    _say(Ready(listener.getsockname()[1], key))
    desk = _Desk(pool, ClickHouseStore(writing), Dataset(read_marker(folder).parameters))
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        _say(await desk.carry_out(_commands.decode(line)))
    stop.set()
    await serving
    writing.close()
    pool.close()


def new_key(file: Path) -> str:
    """A key that may read the project of the data set."""
    made: list[str] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        new = with_new_key(content, PROJECT, [Scope.QUERY], "2026-01-01")
        made.append(new.key)
        return new.content

    edit(file, add)
    return made[0]


def _say(answer: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    uvloop.run(run(parser.parse_args().folder))
    sys.stdout.flush()
    os._exit(0)  # the embedded engine can crash while the interpreter tears itself down
