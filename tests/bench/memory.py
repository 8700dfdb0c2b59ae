"""To be measured."""

from tests.bench.figures import Figure
from tests.bench.plan import Plan


def measured(plan: Plan) -> list[Figure]:
    """Nothing yet."""
    plan.home()
    return []
