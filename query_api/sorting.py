"""What a list may be sorted by: the parameter's word → a column of ours. Unknown values come last in either order."""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.filtering.filters import METHOD_AS_SHOWN


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key, NULL where the value is unknown."""

    expression: str


SORTS: Mapping[str, Sort] = {
    "id": Sort("id"),
    "createdAt": Sort("created_at"),
    "updatedAt": Sort("updated_at"),
    "ip": Sort("nullIf(http_ip, '')"),
    "url": Sort("nullIf(http_url, '')"),
    "method": Sort(METHOD_AS_SHOWN),
    "status": Sort("status_code"),
    "cached": Sort("cached"),
    "duration": Sort("duration_ms"),
    "cost": Sort("cost"),
    "tokens": Sort("total_tokens"),
}
