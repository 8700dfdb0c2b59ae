"""The standalone product with one part replaced by a wrong one.

`python -m tests.faults.variants NAME --data FOLDER --port PORT`
Each breaks one rule that the promises rest on. The oracle must find it; one that it does not find is a fault of the
oracle. Nothing else differs, but for the comparison of log and store at each start, which would mend some of them.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec

from deploy.data_folder import DataFolder
from deploy.event_loop import run
from deploy.rebuilding import Expected
from deploy.standalone import Making, StandaloneOptions, run_standalone
from ledger.bus import Delivery, Record, committable
from ledger.bus.sqlite_log import Retention, SqliteLog
from ledger.failpoints import VARIABLE, arm
from ledger.patch import Patch
from ledger.request_log import RequestLog
from ledger.settings import BatchSection, QueryCaps, read_section
from ledger.store import RequestLogStore
from ledger.store.clickhouse import ClickHousePool
from ledger.store.migrations import Migration, available
from ledger.telemetry import set_up_logging
from workers.decoding import Rejected
from workers.deriving import Derived, Price
from workers.pipeline import Deps, process
from workers.pricing import with_cost
from workers.quarantining import Quarantine
from workers.receipts import Receipt

Handle = Callable[[Sequence[Delivery]], Awaitable[Receipt]]

_LATE_SECONDS = 20.0


async def _nothing(bus: SqliteLog, pool: ClickHousePool, expected: Expected) -> None:
    """In the place of the comparison at the start."""


@dataclass(slots=True)
class CommitsFirst:
    """Progress is recorded before the write that it tells of."""

    log: SqliteLog

    async def poll(self, limit: int) -> Sequence[Delivery]:
        found = await self.log.poll(limit)
        if found:
            await self.log.commit(committable(found))
        return found

    async def commit(self, resume_at: dict[int, int]) -> None:
        await self.log.commit(resume_at)


def _folds_ahead(deps: Deps) -> Handle:
    """The second half of a batch is folded while the first one is not written yet."""

    async def handle(batch: Sequence[Delivery]) -> Receipt:
        middle = len(batch) // 2
        halves = [half for half in (batch[:middle], batch[middle:]) if half]
        receipts = await asyncio.gather(*(process(deps, half) for half in halves))
        return Receipt(sum(one.stored for one in receipts), 0, committable(batch))

    return handle


def _prices_by_the_newest_book(started_before: bool, deps: Deps) -> Handle:
    """A book that came with this start prices calls that were accepted before it, and those that are read again."""
    if started_before:
        deps.price = partial(_twice_as_dear, deps.price)
    return partial(process, deps)


def _twice_as_dear(price: Price, derived: Derived) -> RequestLog:
    row = price(derived)
    return (
        row
        if row.cost_computed is None
        else with_cost(msgspec.structs.replace(row, cost_computed=row.cost_computed * 2))
    )


@dataclass(slots=True)
class Later:
    """Dead letters that nobody waits for."""

    quarantine: Quarantine
    waiting: set[asyncio.Task[None]]

    async def put(self, rejected: Sequence[Rejected]) -> None:
        self.waiting.add(asyncio.create_task(self._put(rejected)))

    async def _put(self, rejected: Sequence[Rejected]) -> None:
        await asyncio.sleep(_LATE_SECONDS)
        await self.quarantine.put(rejected)


def _dead_letters_later(deps: Deps) -> Handle:
    """Progress is recorded before the dead letter is kept."""
    deps.quarantine = Later(deps.quarantine, set())
    return partial(process, deps)


class LatePatches:
    """A store that keeps its patches back until it is told that their progress is recorded."""

    def __init__(self, store: RequestLogStore) -> None:
        self._store = store
        self._waiting: list[tuple[Sequence[Patch], str]] = []

    def __getattr__(self, name: str) -> Any:
        """Everything else is the store's own."""
        return getattr(self._store, name)

    async def insert_patches(self, patches: Sequence[Patch], token: str) -> None:
        """Not yet."""
        self._waiting.append((patches, token))

    async def write_waiting(self) -> None:
        """Now."""
        for patches, token in self._waiting:
            await self._store.insert_patches(patches, token)
        self._waiting.clear()


def _patches_last(deps: Deps) -> Handle:
    """Rows first, then progress, and the patches that are in those rows before the batch after that."""
    late = LatePatches(deps.store)
    deps.store = cast(RequestLogStore, late)

    async def handle(batch: Sequence[Delivery]) -> Receipt:
        await late.write_waiting()
        return await process(deps, batch)

    return handle


class PlainRowid(SqliteLog):
    """A log that is emptied as soon as it is read, and begins to count anew when it is empty."""

    async def commit(self, resume_at: dict[int, int]) -> None:
        """Prune at once."""
        await super().commit(resume_at)
        while await self.prune(Retention(seconds=-1.0, max_rows=0)):
            pass

    def _append(self, records: Sequence[Record]) -> range:
        self._writer.execute("UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(offset), 0) FROM records)")
        return super()._append(records)


def _without_id() -> list[Migration]:
    """Two records of one project and millisecond are the same row."""
    return [
        (number, ddl.replace("ORDER BY (project, created_at, id)", "ORDER BY (project, created_at)"))
        for number, ddl in available()
    ]


def makings(data: Path) -> Mapping[str, Making]:
    """Every variant, for this data folder."""
    plain = Making(rebuild=_nothing)
    started_before = (data / "log.sqlite").exists()
    return {
        "as-it-is": Making(),
        "commit-before-insert": replace(plain, reading=CommitsFirst),
        "fold-ahead": replace(plain, handling=_folds_ahead),
        "newest-price": replace(plain, handling=partial(_prices_by_the_newest_book, started_before)),
        "patches-after-rows": replace(plain, handling=_patches_last),
        "dead-letter-unawaited": replace(plain, handling=_dead_letters_later),
        "plain-rowid": replace(plain, open_log=PlainRowid),
        "identity-without-id": replace(plain, migrations=_without_id),
        "synchronous-normal": replace(plain, open_log=partial(SqliteLog, synchronous="NORMAL")),
    }


def main(arguments: argparse.Namespace) -> None:
    """As the command does it, with the parts of the variant."""
    set_up_logging("auto", "warning")
    arm(os.environ.get(VARIABLE, ""))
    data = DataFolder(arguments.data)
    batch = read_section(BatchSection, "BATCH", os.environ)
    options = StandaloneOptions(data, "127.0.0.1", arguments.port, True, batch, QueryCaps())
    run(run_standalone(options, say=_say, making=makings(arguments.data)[arguments.name]))
    os._exit(0)  # as the command does


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults.variants", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    main(parser.parse_args())
