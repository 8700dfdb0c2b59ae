"""The endpoints of statistics. Handlers translate; what an answer holds is in the module of its name."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.asking import advised
from query_api.aggregates.facets import facets, facets_asked
from query_api.aggregates.histogram import histogram, histogram_asked
from query_api.aggregates.openapi import FacetsOperation, HistogramOperation, StatisticsOperation, UnpricedOperation
from query_api.aggregates.schemas import Facets, RequestHistogram, Statistics, UnpricedModels
from query_api.aggregates.statistics import statistics, statistics_asked
from query_api.aggregates.unpriced import unpriced, unpriced_asked
from query_api.errors import AnyRequest
from query_api.openapi import LIST_ERRORS, SECURITY
from query_api.parameters import given
from query_api.reading import Reader


class StatisticsController(Controller):
    """`/api/v1/requests/stats`, `/histogram`, `/facets` and `/api/v1/models/unpriced`. All counts are exact."""

    path = "/api/v1"
    security = SECURITY

    @get(
        "/requests/stats",
        operation_class=StatisticsOperation,
        responses=dict(LIST_ERRORS),
        summary="Counts, tokens, cost and latency by group and time",
    )
    async def stats(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        aggregates: NamedDependency[SkipValidation[Aggregates]],
    ) -> Statistics:
        """Exact counts, sums, averages and maxima; percentiles of exact rank, off by less than 0.4 %."""
        asked = statistics_asked(given(request.scope["query_string"]), clock)
        return await advised(statistics(asked, reach, aggregates, reader), asked.interval)

    @get(
        "/requests/histogram",
        operation_class=HistogramOperation,
        responses=dict(LIST_ERRORS),
        summary="Counts over time by class of status",
    )
    async def histogram(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        aggregates: NamedDependency[SkipValidation[Aggregates]],
    ) -> RequestHistogram:
        """Every bucket of the range, oldest first. A status below 100, or none at all, is unknown."""
        asked = histogram_asked(given(request.scope["query_string"]), clock)
        return await advised(histogram(asked, reach, aggregates, reader), asked.interval)

    @get(
        "/requests/facets",
        operation_class=FacetsOperation,
        responses=dict(LIST_ERRORS),
        summary="Counts per value of several fields",
    )
    async def facets(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        aggregates: NamedDependency[SkipValidation[Aggregates]],
    ) -> Facets:
        """The values with the most calls of each field, how much is left out, and the ranges of numbers."""
        asked = facets_asked(given(request.scope["query_string"]), clock)
        return await advised(facets(asked, reach, aggregates, reader))

    @get(
        "/models/unpriced",
        operation_class=UnpricedOperation,
        responses=dict(LIST_ERRORS),
        summary="Models with calls whose cost is unknown",
    )
    async def unpriced_models(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        aggregates: NamedDependency[SkipValidation[Aggregates]],
    ) -> UnpricedModels:
        """Those with the most such calls first, with the reasons."""
        asked = unpriced_asked(given(request.scope["query_string"]), clock)
        return await advised(unpriced(asked, reach, aggregates, reader))
