"""Which dead letters are meant: the conditions of a request, as values, and the cursor between two pages."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from ledger.bus import Position
from ledger.clock import Clock
from ledger.instants import LATEST_STORED_MS
from query_api.errors import BadParameter
from query_api.instants import bound_ms

MAX_LIMIT = 1000
MAX_TEXT_CHARACTERS = 200
MAX_CURSOR_CHARACTERS = 200


class State(StrEnum):
    """What is to be done about a dead letter."""

    WAITING = "waiting"
    REPLAYED = "replayed"


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "before": "to"}):
    """Texts as a caller gives them. All must hold; None and '' say nothing."""

    project: str | None = None
    reason: str | None = None
    kind: str | None = None
    record_id: str | None = None
    since: str | None = None  # of the latest death: ISO 8601 or like now-1h
    before: str | None = None  # the first instant outside


@dataclass(frozen=True, slots=True)
class Choice:
    """The dead letters that are meant; None where nothing was said."""

    project: str | None = None
    reason: str | None = None
    kind: str | None = None
    record_id: str | None = None
    since: int | None = None  # milliseconds since 1970
    before: int | None = None
    state: State | None = None
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: lists go from the latest death to the earliest."""

    dead_at: int  # milliseconds since 1970
    position: Position


def chosen(conditions: Conditions, clock: Clock, state: str | None = None, position: str | None = None) -> Choice:
    """What these texts mean. Raises `BadParameter`."""
    for name in ("project", "reason", "kind", "record_id"):
        if len(getattr(conditions, name) or "") > MAX_TEXT_CHARACTERS:
            raise BadParameter(name, f"is longer than {MAX_TEXT_CHARACTERS} characters")
    return Choice(
        project=conditions.project or None,
        reason=conditions.reason or None,
        kind=conditions.kind or None,
        record_id=(conditions.record_id or "").lower() or None,
        since=bound_ms("from", conditions.since or None, clock),
        before=bound_ms("to", conditions.before or None, clock),
        state=_state(state or None),
        position=position_of(position) if position else None,
    )


def position_of(text: str) -> Position:
    """The position. Raises `BadParameter`."""
    position = Position.from_text(text)
    if position is None:
        raise BadParameter("position", "must read like 1-0-42, as the list shows it")
    return position


def limit_of(limit: int) -> int:
    """The limit, when it is one. Raises `BadParameter`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadParameter("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return limit


def _state(text: str | None) -> State | None:
    if text is not None and text not in set(State):
        raise BadParameter("state", f"must be one of: {', '.join(State)}")
    return State(text) if text else None


class _Cursor(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    dead_at: Annotated[int, msgspec.Meta(ge=0, le=LATEST_STORED_MS)]
    position: str


_decoder = msgspec.json.Decoder(_Cursor)


def encode_cursor(place: Place) -> str:
    """The cursor of the page that ends here."""
    content = msgspec.json.encode(_Cursor(1, place.dead_at, place.position.text))
    return urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(text: str) -> Place:
    """Where the next page begins. Raises `BadParameter` for anything but a cursor of ours."""
    try:
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        content = _decoder.decode(urlsafe_b64decode((text + "=" * (-len(text) % 4)).encode("ascii")))
        position = Position.from_text(content.position)
        if position is None:
            raise ValueError
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadParameter("cursor", "is not a cursor of this list") from None
    return Place(content.dead_at, position)
