"""`/api/v1/requests/facets`: which values several fields have among the calls, and how often.

All fields that are asked for are counted in one reading of the rows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.asking import Asked, asked_of, limit_of
from query_api.aggregates.groups import FACET_COLUMNS, Group, first_of, group_of, names_in
from query_api.aggregates.measured import double
from query_api.aggregates.measures import COUNT, RANGED, RANGES
from query_api.aggregates.partials import NEVER, Partial, added
from query_api.aggregates.questions import Rows, question, span_of
from query_api.aggregates.schemas import CostRange, Facet, FacetRanges, Facets, FacetValue, NumberRange
from query_api.errors import BadParameter
from query_api.parameters import Given
from query_api.reading import Reader
from query_api.views import usd

DEFAULT_FIELDS = (
    *("status", "model", "provider", "environment", "user"),
    *("source", "finish_reason", "streamed", "cached"),
)
DEFAULT_LIMIT = 20
MOST_FIELDS = 20
_METADATA_KEY = "arrayJoin(arrayDistinct(metadata_keys))"


@dataclass(frozen=True, slots=True)
class FacetsAsked:
    """What is asked for."""

    rows: Asked
    names: tuple[str, ...]
    limit: int


def facets_asked(parameters: Given, clock: Clock) -> FacetsAsked:
    """Raises `BadParameter` or `BadFilter`."""
    rows = asked_of(parameters, clock)
    names = tuple(names_in(parameters.get("fields") or "")) or DEFAULT_FIELDS
    if len(names) > MOST_FIELDS:
        raise BadParameter("fields", f"takes at most {MOST_FIELDS} names")
    for name in names:
        group_of("fields", name, FACET_COLUMNS, Bound())
    return FacetsAsked(rows, names, limit_of(parameters, DEFAULT_LIMIT))


async def facets(asked: FacetsAsked, reach: Reach, aggregates: Aggregates, reader: Reader) -> Facets:
    """Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    conditions, bound = asked.rows.conditions, Bound()
    groups = [group_of("fields", name, FACET_COLUMNS, bound) for name in asked.names]
    rows = Rows(conditions, reach)
    by_field = question(rows, COUNT, [group.sql for group in groups], bound, each=True)
    many = any(group.many for group in groups)
    questions = [
        replace(by_field, many=many),
        question(rows, RANGES),
        replace(question(rows, COUNT, [_METADATA_KEY]), many=True),
    ]
    found = await aggregates.of(questions, span_of(conditions, reach), reader)
    return await asyncio.to_thread(_shown, asked, groups, found)


def _shown(asked: FacetsAsked, groups: Sequence[Group], found: Sequence[Sequence[Partial]]) -> Facets:
    by_field, ranges, metadata_keys = map(added, found)
    values: list[list[tuple[int, object]]] = [[] for _ in groups]
    for (place, value), requests in zip(by_field.keys, by_field.first_sums(), strict=True):
        values[place].append((requests, groups[place].shown(value)))
    keys = zip(metadata_keys.first_sums(), (key for (key,) in metadata_keys.keys), strict=True)
    return Facets(
        **asked.rows.said(),
        requests=sum(ranges.first_sums()),
        facets={group.name: _facet(of_field, asked.limit) for group, of_field in zip(groups, values, strict=True)},
        ranges=_ranges(ranges),
        metadata_keys=_facet(list(keys), asked.limit),
    )


def _facet(values: Sequence[tuple[int, object]], limit: int) -> Facet:
    counts = [requests for requests, _ in values]
    listed = first_of(counts, [(value,) for _, value in values], limit)
    left = sum(counts) - sum(requests for requests, _ in listed)
    return Facet([FacetValue(value, requests) for requests, (value,) in listed], len(counts) - len(listed), left)


def _ranges(found: Partial) -> FacetRanges:
    peaks = found.peaks[0].tolist() if len(found.keys) else [NEVER] * 2 * len(RANGED)
    bounds = dict(zip(RANGED, zip(peaks[::2], peaks[1::2], strict=True), strict=True))
    ends = {
        name: (None, None) if highest == NEVER else (~complement, highest)
        for name, (complement, highest) in bounds.items()
    }
    latency = NumberRange(*(None if bits is None else double(bits) for bits in ends["latency_ms"]))
    return FacetRanges(
        latency, NumberRange(*ends["ttft_ms"]), NumberRange(*ends["total_tokens"]), CostRange(*map(usd, ends["cost"]))
    )
