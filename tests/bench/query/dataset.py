"""The data set: which rows there are, batch by batch, in order of time. Pure: the same rows for the same parameters.

Four of five rows belong to the project that is asked for. A batch is what a worker would insert at once: new rows, and
updates of rows of the batch before; some updates come days later. Some batches are delivered again.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import msgspec
from msgspec.structs import replace

from ledger.bus import Position
from ledger.ids import ProjectId, from_int
from ledger.request_log import Bodies, CostStatus, RequestLog, preview
from tests.bench.query.texts import COMMON, COMMON_EVERY, RARE, RARE_EVERY, sentences

PROJECT, OTHER_PROJECT = ProjectId("bench"), ProjectId("other")
MODELS = 20
DAY_MS = 24 * 3600 * 1000
SPAN_DAYS = 105

_OTHERS_EVERY = 5  # row of the other project
_ROWS_PER_USER = 200  # 50,000 users at ten million rows
_UPDATED_EVERY = 100
_DELETED_EVERY = 5_000  # among the updates: the row is gone then
_LATE_EVERY = 10  # of the updates: days later
_LATE_DAYS = 4
_REDELIVERED_EVERY, _FIRST_REDELIVERED = 200, 5  # batches
_LEAST_BATCH, _LARGEST_BATCH, _BATCHES = 1_000, 10_000, 200
_LATER_APART_MS = 10
_ERRORS = (429, 429, 500, 503)


class Parameters(msgspec.Struct, frozen=True):
    """What the rows follow from."""

    rows: int
    last_ms: int  # of the newest row's time
    seed: int = 2026

    @property
    def batch(self) -> int:
        """How many rows are new in one insert: as a worker has them when it is behind."""
        return max(_LEAST_BATCH, min(_LARGEST_BATCH, self.rows // _BATCHES))

    @property
    def first_ms(self) -> int:
        """When the oldest row was made."""
        return self.last_ms - SPAN_DAYS * DAY_MS

    @property
    def users(self) -> int:
        """How many users there are."""
        return max(1, self.rows // _ROWS_PER_USER)

    @property
    def batches(self) -> int:
        """How many batches the rows come in."""
        return -(-self.rows // self.batch)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is inserted at once. `repeats` is inserted besides, as another insert."""

    rows: Sequence[RequestLog]
    repeats: Sequence[RequestLog] = ()


@dataclass(slots=True)
class _Pending:
    """Updates that are on their way, by the batch that they arrive with."""

    by_batch: dict[int, list[RequestLog]] = field(default_factory=dict)

    def add(self, arrival: int, row: RequestLog) -> None:
        self.by_batch.setdefault(arrival, []).append(row)


class Dataset:
    """Makes the rows."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    @cached_property
    def _sentences(self) -> list[str]:
        return sentences(Random(self.parameters.seed))

    def batches(self) -> Iterator[Batch]:
        """All batches, in order; the last one holds the updates that have not come yet."""
        pending = _Pending()
        of = self.parameters
        days = -(-of.batches * _LATE_DAYS // SPAN_DAYS)
        for number in range(of.batches):
            new = self.new_rows(number)
            for row in new:
                if _is_updated(row):
                    late = row.position.offset // _UPDATED_EVERY % _LATE_EVERY == 0
                    arrival = min(of.batches, number + (days if late else 1))
                    pending.add(arrival, updated(row, min(of.rows, arrival * of.batch)))
            again = number % _REDELIVERED_EVERY == _FIRST_REDELIVERED
            yield Batch([*pending.by_batch.pop(number, ()), *new], self.new_rows(number - 1) if again else ())
        yield Batch(pending.by_batch.pop(of.batches, []))

    def new_rows(self, number: int, *, first: int | None = None, count: int | None = None) -> list[RequestLog]:
        """The rows of this batch as they were accepted; or `count` rows from the `first` on, for later batches."""
        of = self.parameters
        start = number * of.batch if first is None else first
        stop = min(of.rows, start + of.batch) if count is None else start + count
        random = Random(f"{of.seed}-{number}-{start}")
        return [self._row(at, random) for at in range(start, stop)]

    def created_at(self, number: int) -> int:
        """When this row was made: one in ten in the same millisecond as the one before.

        Rows that come after the data set follow more quickly, so that no month ends meanwhile.
        """
        of, place = self.parameters, number - (number % 10 == 1)
        if number >= of.rows:
            return of.last_ms + (place - of.rows + 1) * _LATER_APART_MS
        return of.first_ms + place * SPAN_DAYS * DAY_MS // of.rows

    def _row(self, number: int, random: Random) -> RequestLog:
        created_at, draw, offset = self.created_at(number), random.random, number + 1
        model = f"model-{int(MODELS * draw() ** 2)}"
        prompt, completion = self._texts(number, random)
        failed = draw() < 0.02
        status = random.choice(_ERRORS) if failed else 200
        duration = round(math.exp(5 + 4 * draw()), 1)
        tokens_in, tokens_out = (None, None) if failed else (100 + int(2000 * draw()), 50 + int(800 * draw()))
        cost = None if tokens_in is None or tokens_out is None else 150_000 * (tokens_in + 4 * tokens_out)
        return RequestLog(
            project=OTHER_PROJECT if number % _OTHERS_EVERY == 0 else PROJECT,
            created_at=created_at,
            id=from_int(created_at << 80 | 7 << 76 | 2 << 62 | random.getrandbits(62)),
            version=_version(offset, 1),
            position=Position(1, 0, offset),
            source="openpipe",
            ingested_at=created_at,
            updated_at=created_at,
            requested_at=created_at,
            received_at=created_at + int(duration),
            duration_ms=duration,
            ttft_ms=100 + int(900 * draw()),
            provider=("openai", "anthropic", "google")[number % 3],
            model_requested=model,
            model_served=model,
            status_code=status,
            is_error=failed,
            streamed=number % 2 == 0,
            finish_reason=None if failed else "stop",
            provider_response_id=f"chatcmpl-{number:012x}",
            user_id=f"user-{int(self.parameters.users * draw())}",
            session_id=f"session-{number // 4}",
            environment="production",
            metadata=(("env", "prod"), ("prompt_id", f"prompt-{number % 40}")),
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            total_tokens=None if tokens_in is None or tokens_out is None else tokens_in + tokens_out,
            cost_computed=cost,
            cost=cost,
            cost_status=CostStatus.UNPRICED if failed else CostStatus.COMPUTED,
            cost_reason="no_usage" if failed else None,
            price_version="bench",
            prompt_preview=preview(prompt),
            completion_preview=preview(completion),
            bodies=_bodies(model, prompt, completion),
        )

    def _texts(self, number: int, random: Random) -> tuple[str, str]:
        drawn = random.choices(self._sentences, k=7)
        if number % RARE_EVERY == RARE_EVERY // 2 or number == self.parameters.rows // 2 + 1:
            drawn[2] = f"{drawn[2]} {RARE}"
        if number % COMMON_EVERY == 0:
            drawn[5] = f"{COMMON} {drawn[5]}"
        return " ".join(drawn[:4]), " ".join(drawn[4:])


def updated(row: RequestLog, arrival: int) -> RequestLog:
    """The row after an update that arrived at this offset: it failed after all, or it was deleted."""
    offset = row.position.offset
    version = _version(max(arrival, offset) + 1, 2)
    if offset // _UPDATED_EVERY % (_DELETED_EVERY // _UPDATED_EVERY) == 1:
        return replace(row, version=version, is_deleted=True)
    return replace(row, version=version, status_code=503, is_error=True, updated_at=row.created_at + 60_000)


def not_updated_yet(rows: Sequence[RequestLog]) -> list[RequestLog]:
    """Those of these new rows that the data set holds no update of."""
    return [row for row in rows if not _is_updated(row)]


def _is_updated(row: RequestLog) -> bool:
    return row.position.offset % _UPDATED_EVERY == 1


def _version(offset: int, events: int) -> int:
    return 1 << 56 | offset << 16 | events


def _bodies(model: str, prompt: str, completion: str) -> Bodies:
    return Bodies(
        prompt=prompt,
        completion=completion,
        raw_request=f'{{"model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]}}',
        raw_response=f'{{"object":"chat.completion","choices":[{{"message":{{"content":"{completion}"}}}}]}}',
    )
