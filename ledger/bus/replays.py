"""A dead letter that is put on the bus again says in headers where it was accepted, and how often this was done.

So it stays the same event. Only the program's own replay writes these headers; `ingest_api` passes no header of a
request on. What cannot be read is left among the other headers, and the record counts as new.
"""

import re

from ledger.bus import Delivery, Position

REPLAY_HEADER = "llmledger-accepted-at"
REPLAYS_HEADER = "llmledger-replays"

_COUNT = re.compile(rb"[1-9]\d{0,3}")

Headers = tuple[tuple[str, bytes], ...]


def replay_headers(position: Position, replays: int) -> Headers:
    """The headers that keep a record's acceptance; this is its replay number `replays`, from 1."""
    return (REPLAY_HEADER, position.text.encode()), (REPLAYS_HEADER, str(replays).encode())


def delivery_at(
    place: Position, key: bytes | None, envelope: bytes | None, body: bytes | None, headers: Headers
) -> Delivery:
    """What was read at this place. Of several replay headers none counts."""
    if not headers:  # nearly every record
        return Delivery(place, key, envelope, body)
    accepted = _accepted_at(headers)
    if accepted is None:
        return Delivery(place, key, envelope, body, headers)
    others = tuple(pair for pair in headers if pair[0] not in (REPLAY_HEADER, REPLAYS_HEADER))
    return Delivery(accepted, key, envelope, body, others, replayed_at=place, replays=_replays(headers))


def _accepted_at(headers: Headers) -> Position | None:
    given = [value for name, value in headers if name == REPLAY_HEADER]
    return Position.from_text(given[0].decode("latin-1")) if len(given) == 1 else None


def _replays(headers: Headers) -> int:
    """A replay without a count that can be read is the first."""
    given = [value for name, value in headers if name == REPLAYS_HEADER]
    return int(given[0]) if len(given) == 1 and _COUNT.fullmatch(given[0]) else 1
