"""How tests of the list name rows and put rules."""

import json
from typing import Any

from tests.support.builders import A_TIME, an_id


def numbered_ids(*numbers: int) -> list[str]:
    """The ids that the builders give rows of these numbers."""
    return [an_id(A_TIME, number) for number in numbers]


def rule(field: str, operator: str, value: Any = None) -> str:
    """A filter of one rule, as its JSON text."""
    return json.dumps({"combinator": "and", "rules": [{"field": field, "operator": operator, "value": value}]})
