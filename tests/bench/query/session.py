"""One run over a data set: every query as it was filled, and again once its closed months are merged to one part."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.bench.query.aggregated import statistics
from tests.bench.query.dataset import DAY_MS, Dataset, Parameters
from tests.bench.query.folders import data_set, working_copy
from tests.bench.query.marker import read_marker
from tests.bench.query.measuring import Measured, Plan, measured
from tests.bench.query.mix import Kind, Mix, mixed
from tests.bench.query.process import Service, running
from tests.bench.query.queries import CURSOR_PAGE, FIRST_PAGE, Query, lists

FILLED, MERGED = "as filled", "merged"
AGAIN, CHANGED = "new rows came in", "old months changed"
GROWTH_BY = 10

_TABLES = ("request_logs", "request_bodies")
_NEW_ROWS, _UPDATES = 1_000, 10
_NEWEST_BATCHES, _LATE_DAYS = 2, 4
_CHANGED_RUNS = 10
_SETTLE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured."""

    rows: int
    plan: Plan
    mix_seconds: float
    only: Sequence[str] = ()  # parts of names; empty: all

    def wants(self, name: str) -> bool:
        """Whether the query of this name is asked for."""
        return not self.only or any(text in name for text in self.only)


class Layout(msgspec.Struct, frozen=True):
    """How a table lies on disk in a state."""

    state: str
    table: str
    parts: int
    rows: int
    bytes: int


class Found(msgspec.Struct, frozen=True):
    """All that one run found."""

    sent: int
    fill_seconds: float
    measured: list[Measured]
    smaller: list[Measured]  # the two pages over a tenth of the rows
    layouts: list[Layout]
    mix: list[Kind]
    memory: dict[str, int]  # highest resident bytes of the service, by phase


def run(root: Path, wish: Wish, note: Callable[[str], None]) -> Found:
    """Fill what is missing, and measure."""
    folder, smaller = data_set(root, wish.rows), data_set(root, max(1, wish.rows // GROWTH_BY))
    pages = replace(wish, only=list(filter(wish.wants, (FIRST_PAGE, CURSOR_PAGE))))
    growth: list[Measured] = []
    if pages.only:
        with working_copy(smaller) as copy, running(copy) as service:
            growth = _Session(service, read_marker(smaller).parameters, pages, note).pages()
    marker = read_marker(folder)
    with working_copy(folder) as copy, running(copy) as service:
        session = _Session(service, marker.parameters, wish, note)
        found = session.everything()
        return Found(marker.sent, marker.seconds, found, growth, session.layouts, session.mix, session.memory)


class _Session:
    def __init__(self, service: Service, of: Parameters, wish: Wish, note: Callable[[str], None]) -> None:
        self._service, self._of, self._wish, self._note = service, of, wish, note
        self._queries = [query for query in [*lists(of, service.rows), *statistics(of)] if wish.wants(query.name)]
        self.layouts: list[Layout] = []
        self.mix: list[Kind] = []
        self.memory: dict[str, int] = {}

    def pages(self) -> list[Measured]:
        """Each query in both states, nothing else."""
        self._stop_merges()
        found = self._each(FILLED)
        self._merge()
        return [*found, *self._each(MERGED)]

    def everything(self) -> list[Measured]:
        """All phases. What is written for some of them is there in the following ones."""
        self._stop_merges()
        found = self._in_state(FILLED)
        self._merge()
        found += self._in_state(MERGED, with_mix=True)
        return found

    def _in_state(self, state: str, *, with_mix: bool = False) -> list[Measured]:
        self._note_layout(state)
        found = self._each(state)
        self._remember(state)
        if with_mix:
            self._mix()
        self._service.execute("SYSTEM START MERGES")
        self._settle()
        found += [self._one(query, f"{state}, {AGAIN}", self._new_rows) for query in self._asked_again()]
        self._remember(f"{state}, {AGAIN}")
        seldom = Plan(min(_CHANGED_RUNS, self._wish.plan.runs), self._wish.plan.seconds)
        for query in self._asked_again():
            untargeted = replace(query, target=None)
            found.append(self._one(untargeted, f"{state}, {CHANGED}", self._old_rows, seldom))
        return found

    def _each(self, state: str) -> list[Measured]:
        return [self._one(query, state) for query in self._queries]

    def _one(
        self, query: Query, state: str, before_each: Callable[[], None] | None = None, plan: Plan | None = None
    ) -> Measured:
        result = measured(self._service, query, state, plan or self._wish.plan, before_each)
        ours = "refused" if result.ours is None else f"{result.ours.p50:.1f} ms"
        self._note(f"  {self._of.rows:,} {state}: {query.name}: {ours}, limit {result.limit.p50:.1f} ms")
        return result

    def _asked_again(self) -> list[Query]:
        return [query for query in self._queries if query.again]

    def _mix(self) -> None:
        if not self._wish.mix_seconds:
            return
        self._service.highest_memory()
        self.mix = mixed(Mix(self._service, self._queries, self._of.users), self._wish.mix_seconds)
        self._remember("16 clients")

    def _stop_merges(self) -> None:
        self._service.execute("SYSTEM STOP MERGES")

    def _merge(self) -> None:
        """Bring every closed month to one part, as the background does when it has had the time."""
        self._service.execute("SYSTEM START MERGES")
        self._note("  merging the closed months …")
        for table in _TABLES:
            for month in self._closed_months():
                self._service.execute(f"OPTIMIZE TABLE {table} PARTITION {month} FINAL")
        self._settle()

    def _closed_months(self) -> list[str]:
        parts = "SELECT DISTINCT partition FROM system.parts WHERE table = 'request_logs' AND active"
        return sorted(str(row[0]) for row in self._service.rows(parts))[:-1]

    def _settle(self) -> None:
        """Wait until the engine has merged what it wants to merge, or the time is over."""
        give_up_at = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < give_up_at and self._service.rows("SELECT count() FROM system.merges")[0][0]:
            time.sleep(0.5)

    def _new_rows(self) -> None:
        """New rows, and updates: of the newest rows nearly all, one of a row that is some days old."""
        of, data = self._of, Dataset(self._of)
        days_ago = of.last_ms - _LATE_DAYS * DAY_MS
        late = max((at for at in range(of.batches) if data.created_at(at * of.batch) <= days_ago), default=0)
        newest = [max(0, of.batches - 1 - number % _NEWEST_BATCHES) for number in range(_UPDATES - 1)]
        self._service.write(_NEW_ROWS, (*newest, late))

    def _old_rows(self) -> None:
        """One update in every closed month."""
        of, data = self._of, Dataset(self._of)
        months: dict[int, int] = {}
        for batch in range(of.batches):
            months.setdefault(_month_start(data.created_at(batch * of.batch)), batch)
        del months[max(months)]
        self._service.write(0, tuple(months.values()))

    def _remember(self, phase: str) -> None:
        self.memory[phase] = self._service.highest_memory()

    def _note_layout(self, state: str) -> None:
        for table in _TABLES:
            sql = f"SELECT count(), sum(rows), sum(bytes_on_disk) FROM system.parts WHERE table = '{table}' AND active"
            parts, rows, size = self._service.rows(sql)[0]
            self.layouts.append(Layout(state, table, parts, rows, size))


def _month_start(ms: int) -> int:
    at = datetime.fromtimestamp(ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int(at.timestamp() * 1000)
