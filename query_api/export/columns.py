"""The columns of an export: their names, their order, what kind of value each holds. The same in every format.

The names are those of our own list and of the single call; `cursor` comes besides, for whoever asks for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger.request_log import Bodies, RequestLog
from ledger.store.columns import BODY_NAMES
from query_api.errors import BadParameter
from query_api.schemas import RequestLogEntry, RequestLogRow

CURSOR = "cursor"


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    TIME = "time"  # milliseconds since 1970
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "flag"
    MONEY = "money"  # pico-USD
    LABELS = "labels"  # text by text
    JSON = "JSON"


_KINDS: Mapping[Kind, Sequence[str]] = {
    Kind.TIME: ("created_at", "ingested_at", "updated_at", "requested_at", "received_at"),
    Kind.WHOLE: (
        *("ttft_ms", "status_code", "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens"),
        *("cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens"),
        *("audio_input_tokens", "audio_output_tokens"),
    ),
    Kind.NUMBER: ("duration_ms",),
    Kind.FLAG: ("is_error", "streamed", "cached"),
    Kind.MONEY: ("cost_provided", "cost_computed", "cost"),
    Kind.LABELS: ("metadata",),
    Kind.JSON: ("media", "extra"),
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}

_OF_A_SEARCH = {"found_in"}
"""What the list says of its own question, and is no part of the call."""

LIGHT = tuple(name for name in RequestLogRow.__struct_fields__ if name not in _OF_A_SEARCH)
"""What comes unless something else is asked for."""

HEAVY = RequestLogEntry.__struct_fields__
"""What comes with the bodies."""

KNOWN = (*dict.fromkeys((*LIGHT, *HEAVY)), CURSOR)


@dataclass(frozen=True, slots=True)
class Item:
    """A row, and as many of its bodies as were asked for."""

    log: RequestLog
    bodies: Bodies


def kind_of(name: str) -> Kind:
    """What a column of this name holds."""
    return _KIND_OF.get(name, Kind.TEXT)


def chosen(text: str | None, with_bodies: bool) -> tuple[str, ...]:
    """The columns of `columns=`, in the order given there; without it all light ones, or all. Raises `BadParameter`."""
    if text is None:
        return HEAVY if with_bodies else LIGHT
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise BadParameter("columns", f"there is no column {unknown[0][:100]!r}; there are: {', '.join(KNOWN)}")
    return names


def bodies_among(names: Sequence[str]) -> tuple[str, ...]:
    """Which of these columns are read from the table of bodies."""
    return tuple(name for name in names if name in BODY_NAMES)
