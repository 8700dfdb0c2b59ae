"""What happens to a store over time: calls come, change, are deleted, come again, and parts are merged.

A seed is a history, the same every time. Versions of a key only grow, and equal versions are equal rows, as with rows
that workers write.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeAlias
from uuid import uuid4

import msgspec

from ledger.clock import from_milliseconds, to_milliseconds
from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog, RowKey, preview
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.listing_model import bodies_of
from tests.support.listing_strategies import HEADERS, METADATA, NAMES, PICO_USD, STATUSES, TEXTS_STORED
from tests.support.query_service import A_NOW, QueryService

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
NOW = to_milliseconds(A_NOW)
_BEFORE_NOW = (0, 1, 2, 1000, HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1, 3 * DAY_MS, 3 * DAY_MS + 1, 33 * DAY_MS)
TIMES = (
    *(NOW - ms for ms in _BEFORE_NOW),
    *(NOW + 5, NOW + HOUR_MS),
    *(NOW - days * DAY_MS for days in (40, 150, 500)),
    *(A_TIME, A_TIME + 1, A_TIME - A_TIME % DAY_MS, A_TIME - A_TIME % DAY_MS - 1),
)
"""The edges of the stretches in which lists are read, some months, and a little of the future."""

PHRASES = (
    "The quick brown fox",
    "QUICK brownies for you",
    "Привет, мир: hello world",
    "сПриветом 100%_done",
    "日本語のtext と hello",
    "brown\nfox 😀 quick",
    *TEXTS_STORED,
)
SHARE_OF_TWINS = 0.15
BODIES_AND_ROWS = ("request_bodies", "request_logs")


@dataclass(frozen=True, slots=True)
class Write:
    """Rows in one batch. Without texts, where a change leaves the texts as they are."""

    logs: tuple[RequestLog, ...]
    texts_too: bool = True


@dataclass(frozen=True, slots=True)
class Merge:
    """The parts of one month become one."""

    month: str
    tables: tuple[str, ...] = BODIES_AND_ROWS


Step: TypeAlias = Write | Merge


def history(seed: int, steps: int, most_rows: int = 40) -> list[Step]:
    """The same whenever the seed is the same. It begins with calls that come."""
    making = _Making(Random(seed), most_rows)
    return [making.creation(), *(making.step() for _ in range(steps - 1))]


def rows_of(steps: Iterable[Step]) -> list[RequestLog]:
    """Every row that they write, in every version."""
    return [log for step in steps if isinstance(step, Write) for log in step.logs]


async def happen(service: QueryService, steps: Iterable[Step]) -> None:
    """Do to the store what these steps say."""
    for step in steps:
        if isinstance(step, Merge):
            await _merged(service, step)
        elif step.texts_too:
            await service.add(*step.logs)
        else:
            await service.store.insert_rows(step.logs, uuid4().hex)


async def _merged(service: QueryService, merge: Merge) -> None:
    for table in merge.tables:
        sql = f"OPTIMIZE TABLE {table} PARTITION {merge.month} FINAL"
        await service.pool.run(lambda client, sql=sql: client.command(sql))  # type: ignore[misc]


def changed(random: Random, log: RequestLog) -> RequestLog:
    """A higher version with other values; the texts stay."""
    return msgspec.structs.replace(
        log,
        version=log.version + random.choice([1, 2]),
        updated_at=log.updated_at + random.choice([0, 1, DAY_MS]),
        status_code=random.choice(STATUSES),
        user_id=random.choice(NAMES),
        cost=random.choice(PICO_USD),
        total_tokens=random.choice([None, 0, 7, 8]),
        metadata=tuple(random.choice(METADATA).items()),
    )


def with_other_texts(random: Random, log: RequestLog) -> RequestLog:
    """The same row with other texts, as one version."""
    bodies = msgspec.structs.replace(bodies_of(log), prompt=random.choice(PHRASES), completion=random.choice(PHRASES))
    return msgspec.structs.replace(
        log, bodies=bodies, prompt_preview=preview(bodies.prompt), completion_preview=preview(bodies.completion)
    )


@dataclass(slots=True)
class _Making:
    random: Random
    most_rows: int
    standing: dict[RowKey, RequestLog] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    made: int = 0

    def step(self) -> Step:
        ways = (self.creation, self.change, self.change_of_texts, self.deletion, self.redelivery, self.merge)
        return self.random.choices(ways, (3, 4, 4, 2, 3, 2))[0]()

    def creation(self) -> Write:
        """New calls, some of them at the same millisecond, and now and then one id in both projects."""
        times = self.random.sample(TIMES, self.random.choice([1, 2, 4, len(TIMES)]))
        logs = [self._row(self.random.choice(times)) for _ in range(self._count())]
        twins = [
            msgspec.structs.replace(log, project=ProjectId("bank"))
            for log in logs
            if self.random.random() < SHARE_OF_TWINS
        ]
        return self._written(list({log.key: log for log in [*logs, *twins]}.values()))

    def change(self) -> Step:
        some = [changed(self.random, log) for log in self._some()]
        return self._written(some, texts_too=False) if some else self.creation()

    def change_of_texts(self) -> Step:
        some = [with_other_texts(self.random, changed(self.random, log)) for log in self._some()]
        return self._written(some) if some else self.creation()

    def deletion(self) -> Step:
        gone = self._some()[:5]
        dead = [msgspec.structs.replace(log, version=log.version + 2, is_deleted=True, bodies=Bodies()) for log in gone]
        for log in gone:
            del self.standing[log.key]
        return self._kept(Write(tuple(dead))) if dead else self.creation()

    def redelivery(self) -> Step:
        again = self.random.choice(self.writes)
        return replace(again, logs=tuple(self.random.sample(again.logs, self.random.randint(1, len(again.logs)))))

    def merge(self) -> Step:
        month = from_milliseconds(self.random.choice(self.writes).logs[0].created_at).strftime("%Y%m")
        tables = self.random.choice([BODIES_AND_ROWS, BODIES_AND_ROWS[:1], BODIES_AND_ROWS[1:]])
        return Merge(month, tables)

    def _count(self) -> int:
        return self.random.randint(1, self.most_rows)

    def _some(self) -> list[RequestLog]:
        return self.random.sample(list(self.standing.values()), min(self._count(), len(self.standing)))

    def _written(self, logs: Sequence[RequestLog], *, texts_too: bool = True) -> Write:
        self.standing |= {log.key: log for log in logs}
        return self._kept(Write(tuple(logs), texts_too))

    def _kept(self, write: Write) -> Write:
        self.writes.append(write)
        return write

    def _row(self, created_at: int) -> RequestLog:
        self.made += 1
        new = a_request_log(
            project=ProjectId(self.random.choice(["shop", "shop", "bank"])),
            created_at=created_at,
            id=an_id(created_at, self.made),
            updated_at=created_at,
            bodies=Bodies(raw_request="{}", request_headers=self.random.choice(HEADERS)),
        )
        return with_other_texts(self.random, changed(self.random, new))
