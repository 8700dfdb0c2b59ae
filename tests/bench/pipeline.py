"""CPU time of our own work per row, step by step, outside the insert: one thread, no bus, no engine, no client.

Batches are as large as a worker's. The store remembers and looks nothing up; encoding ends where the client's begins.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ledger.bus import Delivery, Record
from ledger.request_log import RequestLog
from ledger.store.columns import BODY_COLUMNS, ROW_COLUMNS, column_values
from tests.bench.bodies import record
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.bench.working import BATCH, as_read, set_apart, slices
from tests.support.recording import RememberingStore
from workers.decoding import Accepted, decode
from workers.deriving import Price
from workers.folding import Chunk, fold
from workers.normalising import Normalised, normalise
from workers.pricing import Pricing

ROWS = 20_000
_TIMES = 3
_AIM = Target(at_most=30.0)


@dataclass(slots=True)
class Steps:
    """CPU seconds by step, in the order in which they come."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """The CPU time of what is done inside is added to the step's."""
        before = time.process_time()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - before

    @property
    def total(self) -> float:
        """All steps together."""
        return sum(self.seconds.values())


class NotAllRows(Exception):
    """Some of the bench's own records became no rows."""


def measured(plan: Plan) -> list[Figure]:
    """The steps of the best of some runs, and their sum."""
    plan.home()
    records = [record(number, plan.body_bytes) for number in range(ROWS)]
    set_apart()
    best = min((asyncio.run(once(records)) for _ in range(_TIMES)), key=lambda steps: steps.total)
    whole = _figure("decode to encode, all together", best.total, _AIM)
    return [whole, *(_figure(step, seconds, None) for step, seconds in best.seconds.items())]


async def once(records: Sequence[Record]) -> Steps:
    """All records through all steps, in batches as a worker takes them. Raises `NotAllRows`."""
    steps, price = Steps(), Pricing().price
    for start, part in slices(records, BATCH.max_rows):
        rows = await _rows(as_read(part, start), steps, price)
        if len(rows) != len(part):
            raise NotAllRows(f"{len(rows)} rows of {len(part)} records")
    return steps


async def _rows(deliveries: Sequence[Delivery], steps: Steps, price: Price) -> list[RequestLog]:
    with steps.timing("decode"):
        outcomes = [decode(delivery) for delivery in deliveries]
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    with steps.timing("normalise and price"):
        judged = [normalise(event, price) for event in accepted]
    reports = [report for report in judged if isinstance(report, Normalised)]
    with steps.timing("fold"):
        folded = await fold(Chunk(reports), RememberingStore(), price)
    rows = [item.row for item in folded.rows]
    with steps.timing("encode"):
        column_values(BODY_COLUMNS, rows)
        column_values(ROW_COLUMNS, rows)
    return rows


def _figure(step: str, seconds: float, target: Target | None) -> Figure:
    return Figure(
        name=f"pipeline, {step}: CPU per row", unit="us", ours=1e6 * seconds / ROWS, count=ROWS, target=target
    )
