"""How many rows fulfil conditions: exact, over whatever time they name."""

from dataclasses import replace

from ledger.filtering.reach import Reach
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.measures import COUNT
from query_api.aggregates.questions import Rows, question, span_of
from query_api.conditions import Conditions, looks_into_bodies
from query_api.reading import Reader


async def count(conditions: Conditions, reach: Reach, aggregates: Aggregates, reader: Reader) -> int:
    """The number of rows. Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    narrowing = any((conditions.user_id, conditions.filter, conditions.query))
    few_may_match = narrowing and not looks_into_bodies(conditions, reach)
    asked = replace(question(Rows(conditions, reach), COUNT), few_may_match=few_may_match)
    (partials,) = await aggregates.of([asked], span_of(conditions, reach), reader)
    return sum(sum(partial.first_sums()) for partial in partials)
