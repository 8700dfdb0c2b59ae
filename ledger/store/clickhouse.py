"""The one store adapter: clickhouse-connect's synchronous client in threads. The DSN says ClickHouse server or chDB.

Every thread has a client of its own, because a client serves one call at a time. A driver's exception does not leave
this module: `sorted_by_remedy` turns it into one that says what to do.
"""

import asyncio
import errno
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ledger.bus import Position
from ledger.clock import from_milliseconds
from ledger.deletion import Deletion, Portion
from ledger.filtering.statements import Statement
from ledger.ids import ProjectId, from_int
from ledger.patch import KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey
from ledger.store import Identity, StoreUnavailable, deletions
from ledger.store.columns import (
    BODY_COLUMNS,
    DELETION_COLUMNS,
    KEY_COLUMNS,
    PATCH_COLUMNS,
    PROGRESS_COLUMNS,
    ROW_COLUMNS,
    Column,
    column_values,
    deletion_from,
    key_entry_from,
    patch_from,
)
from ledger.store.remedies import sorted_by_remedy
from ledger.store.row_reads import ids_by_project, read_by_id, read_rows

T = TypeVar("T")

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

DAY_MS = 24 * 3600 * 1000

INSERT_SETTINGS: Mapping[str, object] = {"async_insert": 0, "deduplicate_insert": "enable"}


class ClickHousePool:
    """A few threads, each with a client of its own. Reads and writes are plain functions of a client."""

    def __init__(
        self,
        dsn: str,
        *,
        threads: int,
        settings: Mapping[str, object] | None = None,
        engine_config: Path | None = None,
    ) -> None:
        self._dsn = dsn
        self._engine_config = engine_config
        self._settings = dict(settings or {})
        self._local = threading.local()
        self._clients: list[Client] = []
        self._aside: ClickHousePool | None = None
        self.threads = threads
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="store")

    async def run(self, statement: Callable[[Client], T]) -> T:
        """The statement's result. Raises `StoreUnavailable`, `DataRefused` or `StoreBroken`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.run_here, statement)

    def submit(self, statement: Callable[[Client], T]) -> Future[T]:
        """The same for those who must know when the thread is free again, also after they have stopped waiting."""
        return self._threads.submit(self.run_here, statement)

    def aside(self) -> "ClickHousePool":
        """One more thread, for short statements that must not wait for those of this pool. It is closed with it."""
        if self._aside is None:
            self._aside = ClickHousePool(
                self._dsn, threads=1, settings=self._settings, engine_config=self._engine_config
            )
        return self._aside

    def run_here(self, statement: Callable[[Client], T]) -> T:
        """The same in the calling thread."""
        try:
            return statement(self._client())
        except BaseException as error:
            self._discard()
            if isinstance(error, ClickHouseError):
                raise sorted_by_remedy(error) from error
            if isinstance(error, OSError) and error.errno in _NO_ROOM:  # of the embedded engine's temporary file
                raise StoreUnavailable(f"There is no room on the store's disk: {error}.") from error
            raise

    def close(self) -> None:
        """Wait for what is under way and close the clients."""
        self._threads.shutdown(wait=True)
        if self._aside is not None:
            self._aside.close()
        for client in self._clients:
            client.close()

    def close_within(self, seconds: float) -> bool:
        """Close, unless a statement takes longer than this: then it ends with the process. Whether it is closed."""
        try:
            self._threads.submit(lambda: None).result(timeout=seconds)
        except TimeoutError:
            self._threads.shutdown(wait=False, cancel_futures=True)
            if self._aside is not None:
                self._aside.close_within(seconds)
            return False
        self.close()
        return True

    def _discard(self) -> None:
        """Never use this thread's client again where a failed statement's output can stay behind in it.

        The embedded engine hands what was left over to the next statement on the same connection.
        """
        client: Client | None = getattr(self._local, "client", None)
        if client is not None and is_embedded(self._dsn):
            self._local.client = None
            self._clients.remove(client)
            client.close()

    def _client(self) -> Client:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = open_client(self._dsn, self._settings, self._engine_config)
            self._local.client = client
            self._clients.append(client)
        return client


def is_embedded(dsn: str) -> bool:
    """Whether the DSN names the engine inside this process (chDB) and not a server."""
    return urlsplit(dsn).scheme == "chdb"


def open_client(dsn: str, settings: Mapping[str, object] | None = None, engine_config: Path | None = None) -> Client:
    """A client of the store at this DSN, for one thread at a time. `engine_config` is for the embedded engine."""
    if is_embedded(dsn):
        options = {"config-file": str(engine_config)} if engine_config else None
        return clickhouse_connect.get_client(dsn=dsn, settings=dict(settings or {}), chdb_options=options)
    return clickhouse_connect.get_client(
        dsn=dsn,
        settings=dict(settings or {}),
        autogenerate_session_id=False,
        form_encode_query_params=True,  # thousands of ids do not fit in a URL
        query_retries=0,
        connect_timeout=5,
        send_receive_timeout=60,
    )


class ClickHouseStore:
    """`RequestLogStore` over ClickHouse or chDB. With another `token_prefix` no insert counts as a repeated one."""

    def __init__(self, pool: ClickHousePool, token_prefix: str = "") -> None:
        self._pool = pool
        self._token_prefix = token_prefix

    async def key_entries(self, of: Collection[Identity]) -> list[KeyEntry]:
        """All stored entries of these ids, in order of position."""
        found = await self._by_id("request_keys", KEY_COLUMNS, of)
        return sorted(map(key_entry_from, found), key=lambda entry: entry.position)

    async def patches(self, of: Collection[Identity]) -> list[Patch]:
        """All stored patches of these ids, in order of position."""
        found = await self._by_id("request_patches", PATCH_COLUMNS, of)
        return sorted(map(patch_from, found), key=lambda patch: patch.position)

    async def rows(self, keys: Collection[RowKey], *, with_bodies: bool) -> list[RequestLog]:
        """The current row of each key that has one; deleted rows are not returned."""
        if not keys:
            return []
        return await self._pool.run(lambda client: read_rows(client, keys, with_bodies=with_bodies))

    async def insert_key_entries(self, entries: Sequence[KeyEntry], token: str) -> None:
        """Durable on return."""
        await self._insert("request_keys", KEY_COLUMNS, entries, token, lambda entry: entry.created_at)

    async def insert_patches(self, patches: Sequence[Patch], token: str) -> None:
        """Durable on return."""
        await self._insert("request_patches", PATCH_COLUMNS, patches, token, lambda patch: patch.accepted_at)

    async def insert_bodies(self, rows: Sequence[RequestLog], token: str) -> None:
        """The heavy columns of these rows; durable on return."""
        await self._insert("request_bodies", BODY_COLUMNS, rows, token, lambda row: row.created_at)

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        """The light columns of these rows, after which they are listed; durable on return."""
        await self._insert("request_logs", ROW_COLUMNS, rows, token, lambda row: row.created_at)

    async def scope_deletions(self, of: Collection[ProjectId], after: Collection[Position]) -> list[Deletion]:
        """Those by user or by filter that may stand after one of these places, in order of position."""
        found = await self._asked(deletions.of_scopes(of, after)) if of and after else []
        return sorted(map(deletion_from, found), key=lambda deletion: deletion.position)

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        """The rows that a scope's deletion is about: they match now, and nothing after it has changed them."""
        found = await self._asked(deletions.matching(deletion, portion))
        return [RowKey(ProjectId(project), created_at, from_int(id_)) for project, created_at, id_ in found]

    async def deleted_by(self, deletion: Deletion) -> int:
        """How many records a scope's deletion has deleted at its position so far."""
        found = await self._asked(deletions.deleted_by(deletion))
        return int(found[0][0])

    async def insert_deletions(self, items: Sequence[Deletion], token: str) -> None:
        """Of copies of one that which is further counts. Durable on return."""
        token = self._token_prefix + token
        await self._pool.run(lambda client: insert(client, "request_deletions", DELETION_COLUMNS, items, token))

    async def ping(self) -> None:
        """Return if the store answers."""
        await self._pool.run(lambda client: client.query("SELECT 1"))

    async def insert_progress(self, settled: Sequence[Position]) -> None:
        """Everything up to these positions can be read: one per partition. Durable on return."""
        token = ",".join(f"{at.generation}-{at.partition}-{at.offset}" for at in settled)
        await self._pool.run(lambda client: insert(client, "bus_progress", PROGRESS_COLUMNS, settled, token))

    async def highest_offset(self, generation: int) -> int:
        """The highest offset of this generation that anything stored names; 0 when there is none."""
        sql = (
            "SELECT greatest((SELECT max(bus_offset) FROM request_logs WHERE bus_generation = {generation:UInt8}),"
            " (SELECT max(offset) FROM request_patches WHERE generation = {generation:UInt8}),"
            " (SELECT max(offset) FROM request_keys WHERE generation = {generation:UInt8}),"
            " (SELECT max(offset) FROM bus_progress WHERE generation = {generation:UInt8}))"
        )
        found = await self._pool.run(lambda client: client.query(sql, parameters={"generation": generation}))
        return int(found.result_rows[0][0])

    async def _asked(self, statement: Statement) -> Sequence[Sequence[Any]]:
        result = await self._pool.run(lambda client: client.query(statement.sql, parameters=dict(statement.values)))
        return result.result_rows

    async def _by_id(self, table: str, columns: Sequence[Column], of: Collection[Identity]) -> list[Sequence[Any]]:
        found: list[Sequence[Any]] = []
        for project, ids in ids_by_project(of):  # one after the other: what runs in a thread cannot be cancelled
            found += await self._pool.run(partial(read_by_id, table=table, columns=columns, project=project, ids=ids))
        return found

    async def _insert(
        self, table: str, columns: Sequence[Column], items: Sequence[T], token: str, time: Callable[[T], int]
    ) -> None:
        token = self._token_prefix + token
        for month, part in _by_month(items, time):
            await self._pool.run(lambda client, m=month, p=part: insert(client, table, columns, p, f"{token}-{m}"))  # type: ignore[misc]


def insert(client: Client, table: str, columns: Sequence[Column], items: Sequence[Any], token: str) -> None:
    """One insert, which the engine may skip when it remembers the token."""
    client.insert(
        table,
        column_values(columns, items),
        column_names=[column.name for column in columns],
        column_type_names=[column.type for column in columns],
        column_oriented=True,
        settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
    )


def _by_month(items: Sequence[T], time: Callable[[T], int]) -> Iterator[tuple[str, list[T]]]:
    """One group per partition of the table: an insert over many partitions would be refused as a whole."""
    months: dict[str, list[T]] = {}
    by_day: dict[int, str] = {}
    for item in items:
        day = time(item) // DAY_MS
        month = by_day.get(day) or by_day.setdefault(day, from_milliseconds(day * DAY_MS).strftime("%Y%m"))
        months.setdefault(month, []).append(item)
    yield from months.items()
