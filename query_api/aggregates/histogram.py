"""`/api/v1/requests/histogram`: how many calls there were in each bucket of time, by what became of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.asking import Asked, asked_of
from query_api.aggregates.intervals import AUTO, NONE, Interval, interval_of
from query_api.aggregates.measures import OUTCOMES
from query_api.aggregates.partials import Key, Partial, added
from query_api.aggregates.questions import Rows, question, span_of
from query_api.aggregates.schemas import HistogramBucket, RequestHistogram
from query_api.errors import BadParameter
from query_api.parameters import Given
from query_api.reading import Reader
from query_api.views import iso

CLASSES = ("unknown", "ok", "client_error", "server_error")
_CLASS = (
    "multiIf(isNull(status_code) OR status_code < 100, toInt64(0), status_code < 400, toInt64(1),"
    " status_code < 500, toInt64(2), toInt64(3))"
)


@dataclass(frozen=True, slots=True)
class HistogramAsked:
    """What is asked for."""

    rows: Asked
    interval: Interval


def histogram_asked(parameters: Given, clock: Clock) -> HistogramAsked:
    """Raises `BadParameter`, `BadFilter` or `TooExpensive`."""
    rows = asked_of(parameters, clock)
    interval = interval_of(parameters.get("interval") or AUTO, rows.range)
    if interval is None:
        raise BadParameter("interval", f"must not be {NONE}: a histogram has buckets")
    return HistogramAsked(rows, interval)


async def histogram(asked: HistogramAsked, reach: Reach, aggregates: Aggregates, reader: Reader) -> RequestHistogram:
    """Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    conditions = asked.rows.conditions
    wanted = question(Rows(conditions, reach), OUTCOMES, (asked.interval.sql, _CLASS))
    (partials,) = await aggregates.of([wanted], span_of(conditions, reach), reader)
    return await asyncio.to_thread(_shown, asked, partials)


def _shown(asked: HistogramAsked, partials: Sequence[Partial]) -> RequestHistogram:
    interval, whole = asked.interval, added(partials)
    found = dict(zip(whole.keys, whole.sums.tolist(), strict=True))
    buckets = [_bucket(start, found) for start in interval.starts(asked.rows.range)]
    return RequestHistogram(
        **asked.rows.said(),
        interval=interval.name,
        requests=sum(bucket.requests for bucket in buckets),
        errors=sum(bucket.errors for bucket in buckets),
        data=buckets,
    )


def _bucket(start: int, found: Mapping[Key, list[int]]) -> HistogramBucket:
    of_classes = [found.get((start, number), [0, 0]) for number in range(len(CLASSES))]
    return HistogramBucket(
        bucket=iso(start),
        requests=sum(requests for requests, _ in of_classes),
        errors=sum(errors for _, errors in of_classes),
        **{name: requests for name, (requests, _) in zip(CLASSES, of_classes, strict=True)},
    )
