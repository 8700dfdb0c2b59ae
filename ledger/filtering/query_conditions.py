"""A rule of the search language → a condition with bound values, 0 or 1 for every row."""

from ledger.filtering.query_fields import FIELDS, MEDIA, QueryField
from ledger.filtering.reach import Reach
from ledger.filtering.rows import Wrap, in_bodies, of_header, of_metadata
from ledger.filtering.statements import Bound
from ledger.filtering.tree import BadFilter, Operator, Rule


def of_rule(rule: Rule, reach: Reach, bound: Bound) -> str:
    """Raises `BadFilter` for a field that is not for this reach."""
    if rule.field == MEDIA:
        return in_bodies("isNotNull(media)", reach, bound)
    name, _, key = rule.field.partition(".")
    field = FIELDS[name]
    if field.all_projects and reach.project is not None:
        raise BadFilter(f"q: character {rule.at}: {name} is for keys of all projects, and this key is of one project")
    if rule.operator is Operator.NOT_NULL:
        return _one_of_many(field, key, reach, bound)("1") if key else field.known
    column = field.column
    compared = f"({column.present} AND {column.atom(rule.operator, column.expression, rule.value, bound)})"
    return _one_of_many(field, key, reach, bound)(compared) if key else compared


def _one_of_many(field: QueryField, key: str, reach: Reach, bound: Bound) -> Wrap:
    return of_metadata(key, bound) if field.name == "metadata" else of_header(key.lower(), reach, bound)
