"""What the endpoints of statistics answer. Counts are exact; money is exact decimal text of USD; null is unknown."""

from typing import Any

import msgspec


class TimeRange(msgspec.Struct, frozen=True, kw_only=True):
    """The time that an answer is about: the first instant inside and the first one outside."""

    from_: str = msgspec.field(name="from")
    to: str
    narrowed: bool
    """Whether `from` was not given, so that the last 30 days are meant."""


class Total(msgspec.Struct, frozen=True):
    """A sum, and how many calls told a number. Null where there are calls and none of them did."""

    total: int | None
    known: int


class Distribution(msgspec.Struct, frozen=True):
    """Milliseconds of the calls that told them. Percentiles are off by less than 0.4 %; avg and max are exact."""

    known: int
    avg: float | None
    max: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a set of calls."""

    requests: int
    errors: int
    error_rate: float | None
    input_tokens: Total
    output_tokens: Total
    total_tokens: Total
    cache_read_tokens: Total
    reasoning_tokens: Total
    cost: str | None
    """Of the calls whose cost is known; null where there are calls and none of them has one."""
    unpriced: int
    """Calls whose cost is unknown. They are not in `cost`."""
    latency_ms: Distribution
    ttft_ms: Distribution


class StatisticsRow(Measures, frozen=True, kw_only=True):
    """A group, in a bucket of time where an interval was asked for."""

    group: dict[str, Any]
    bucket: str | None


class OtherRow(Measures, frozen=True, kw_only=True):
    """All groups together that are not listed."""

    bucket: str | None


class Statistics(TimeRange, frozen=True, kw_only=True):
    """Statistics by group and bucket."""

    group_by: list[str]
    interval: str | None
    total: Measures
    groups: int
    """How many groups there are, listed or not."""
    data: list[StatisticsRow]
    """By bucket, then those with the most requests first."""
    other: list[OtherRow]
    """What `data` leaves out beyond `limit`: empty when nothing is."""


class HistogramBucket(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a bucket of time by what became of them. The four classes add up to `requests`."""

    bucket: str
    requests: int
    errors: int
    ok: int
    client_error: int
    server_error: int
    unknown: int


class RequestHistogram(TimeRange, frozen=True, kw_only=True):
    """Every bucket of the range, empty ones too."""

    interval: str
    requests: int
    errors: int
    data: list[HistogramBucket]


class FacetValue(msgspec.Struct, frozen=True):
    """A value and how many calls have it. Null: those without one."""

    value: Any
    requests: int


class Facet(msgspec.Struct, frozen=True):
    """The values with the most calls, and what is not listed."""

    values: list[FacetValue]
    other_values: int
    other_requests: int


class NumberRange(msgspec.Struct, frozen=True):
    """The smallest and the largest number; null where no call tells one."""

    min: float | None
    max: float | None


class CostRange(msgspec.Struct, frozen=True):
    """The same of cost, as decimal text of USD."""

    min: str | None
    max: str | None


class FacetRanges(msgspec.Struct, frozen=True):
    """The ranges of what is a number."""

    latency_ms: NumberRange
    ttft_ms: NumberRange
    total_tokens: NumberRange
    cost: CostRange


class Facets(TimeRange, frozen=True, kw_only=True):
    """Counts per value of each field, of the calls that fulfil the conditions."""

    requests: int
    facets: dict[str, Facet]
    ranges: FacetRanges
    metadata_keys: Facet


class ReasonCalls(msgspec.Struct, frozen=True):
    """Why the cost of so many calls is unknown."""

    reason: str | None
    calls: int


class UnpricedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model with calls whose cost is unknown."""

    model: str | None
    provider: str | None
    reasons: list[ReasonCalls]
    calls: int
    first_seen: str
    last_seen: str
    input_tokens: Total
    output_tokens: Total
    total_tokens: Total


class UnpricedModels(TimeRange, frozen=True, kw_only=True):
    """Those with the most such calls first."""

    calls: int
    data: list[UnpricedModel]
    other_models: int
    other_calls: int
