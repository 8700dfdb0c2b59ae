"""A dead letter that is put on the bus again says in a header where it was accepted: it stays the same event.

Only the program's own replay writes the header; `ingest_api` passes no header of a request on. One that cannot be read
is left among the others, and the record counts as new.
"""

from ledger.bus import Delivery, Position

REPLAY_HEADER = "llmledger-accepted-at"


def replay_header(position: Position) -> tuple[str, bytes]:
    """The header that keeps a record's acceptance."""
    return REPLAY_HEADER, position.text.encode()


def delivery_at(
    place: Position,
    key: bytes | None,
    envelope: bytes | None,
    body: bytes | None,
    headers: tuple[tuple[str, bytes], ...],
) -> Delivery:
    """What was read at this place. Of several replay headers none counts."""
    if not headers:
        return Delivery(place, key, envelope, body)
    accepted = [Position.from_text(value.decode("latin-1")) for name, value in headers if name == REPLAY_HEADER]
    if len(accepted) != 1 or accepted[0] is None:
        return Delivery(place, key, envelope, body, headers)
    others = tuple(pair for pair in headers if pair[0] != REPLAY_HEADER)
    return Delivery(accepted[0], key, envelope, body, others, replayed_at=place)
