"""The parameters of an export → what is to be exported, in which form, from where on."""

import re
from dataclasses import dataclass

from ledger.clock import Clock
from ledger.filtering.comparing import number_of_id
from ledger.filtering.reach import Reach
from ledger.ids import created_at_ms_of, from_int
from ledger.instants import LATEST_STORED_MS
from ledger.request_log import RowKey
from query_api import cursors
from query_api.conditions import Conditions
from query_api.errors import BadParameter
from query_api.export.columns import chosen
from query_api.export.forms import FORMATS, Format
from query_api.finding import find
from query_api.parameters import Given, conditions_of
from query_api.reading import Reader

MAX_LIMIT = 10**12

_DIGITS = re.compile(r"\d{1,13}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """An export, as it was asked for."""

    conditions: Conditions
    names: tuple[str, ...]  # the columns
    format: Format
    limit: int | None  # rows; None: all
    after: RowKey | None  # from a cursor
    after_id: str | None  # the same as an id


def asked(parameters: Given, clock: Clock) -> Asked:
    """What is asked for. Raises `BadParameter` or `BadFilter`."""
    name = parameters.get("format") or "csv"
    if name not in FORMATS:
        raise BadParameter("format", f"must be one of: {', '.join(FORMATS)}")
    cursor, after_id = parameters.get("cursor"), parameters.get("after_id")
    if cursor and after_id:
        raise BadParameter("after_id", "does not go with cursor: both say after which row to go on")
    return Asked(
        conditions=conditions_of(parameters, clock),
        names=chosen(parameters.get("columns") or None, _flag(parameters, "bodies")),
        format=FORMATS[name],
        limit=_limit(parameters.get("limit")),
        after=cursors.decode(cursor) if cursor else None,
        after_id=after_id or None,
    )


async def start_of(asked: Asked, reach: Reach, reader: Reader) -> RowKey | None:
    """The row after which the export begins; None: at the newest. Raises `BadParameter` for an id of no use."""
    if asked.after_id is None:
        return asked.after
    place = _place_in(asked.after_id, reach) or await find(asked.after_id, reach, reader)
    if place is None:
        raise BadParameter("after_id", "is not the id of a row that this key can read")
    return place


def _place_in(text: str, reach: Reach) -> RowKey | None:
    """Where in the order of one project a plain id stands: it says so itself, also when its row has gone since."""
    number = number_of_id(text)
    if number is None or reach.project is None:
        return None
    created_at = created_at_ms_of(from_int(number))
    if created_at is None or created_at > LATEST_STORED_MS:  # no row can stand there
        return None
    return RowKey(reach.project, created_at, from_int(number))


def _flag(parameters: Given, name: str) -> bool:
    text = parameters.get(name) or "false"
    if text not in ("true", "false"):
        raise BadParameter(name, "must be true or false")
    return text == "true"


def _limit(text: str | None) -> int | None:
    if not text:
        return None
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise BadParameter("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)
