"""Rows as conditions see them: columns, what is shown for them, metadata, headers, and what lies in the bodies' table.

A condition is 0 or 1 for every row, never NULL. A wrap puts a condition on one value into a condition on the row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.filtering.comparing import Atom
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound

ROW_KEY = "(project, created_at, id)"
PICO = 12
_HEX = "leftPad(lower(hex(id)), 32, '0')"
ID_AS_SHOWN = (
    "concat(" + ", '-', ".join(f"substring({_HEX}, {at})" for at in ("1, 8", "9, 4", "13, 4", "17, 4", "21")) + ")"
)
METHOD_AS_SHOWN = "if(http_method = '', 'POST', http_method)"

Wrap = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A value of the row: what it is in the store, how it is compared, when it is present."""

    expression: str
    atom: Atom
    present: str = "1"
    in_bodies: bool = False


def in_bodies(where: str, reach: Reach, bound: Bound) -> str:
    """The rows whose heavy columns fulfil a condition."""
    return (
        f"{ROW_KEY} IN (SELECT project, created_at, id FROM request_bodies FINAL"
        f" WHERE {reach.clause(bound)} AND is_deleted = 0 AND ({where}))"
    )


def of_metadata(name: str, bound: Bound) -> Wrap:
    """A value `v` of the metadata of this name."""
    wanted = bound.value(name, "String")
    return lambda where: f"arrayExists((k, v) -> k = {wanted} AND ({where}), metadata_keys, metadata_values)"


def of_header(name: str, reach: Reach, bound: Bound) -> Wrap:
    """A value `h.2` of the request header of this name, given in lower case: stored names keep the case they had."""
    wanted = bound.value(name, "String")
    headers = "JSONExtractKeysAndValues(ifNull(request_headers, ''), 'String')"
    return lambda where: in_bodies(
        f"arrayExists(h -> lowerUTF8(h.1) = {wanted} AND ({where}), {headers})", reach, bound
    )
