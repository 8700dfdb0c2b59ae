"""How many rows fulfil conditions: exact, over whatever time they name."""

from ledger.filtering.reach import Reach
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.measures import COUNT
from query_api.aggregates.questions import question, span_of
from query_api.conditions import Conditions
from query_api.reading import Reader


async def count(conditions: Conditions, reach: Reach, aggregates: Aggregates, reader: Reader) -> int:
    """The number of rows. Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    asked = question(conditions, reach, COUNT)
    (partials,) = await aggregates.of([asked], span_of(conditions, reach), reader)
    return sum(int(partial.sums.sum()) for partial in partials)
