"""Server-sent events as bytes: what a browser's `EventSource` reads."""

from typing import Any

import msgspec

from query_api.schemas import RequestLogRow

RETRY_MILLISECONDS = 2000

_encoder = msgspec.json.Encoder()


def ready(id_: str, positions: list[str], rate: int, since: str | None) -> bytes:
    """The first event: from where on rows are sent, and how many a second at most."""
    return b"retry: %d\n" % RETRY_MILLISECONDS + _event(
        "ready", {"positions": positions, "rate": rate, "from": since}, id_
    )


def request(id_: str, row: RequestLogRow) -> bytes:
    """A call that is new, or has changed."""
    return _event("request", row, id_)


def skipped(id_: str, count: int | None, first: str, last: str) -> bytes:
    """Calls that match and were left out, with the times of creation of the first and the last of them."""
    return _event("skipped", {"count": count, "from": first, "to": last}, id_)


def waiting() -> bytes:
    """The store is away: it is asked again until it is there."""
    return _event("waiting", {"for": "store"})


def error(text: str) -> bytes:
    """The last event of a stream that cannot go on."""
    return _event("error", {"error": text})


def heartbeat(id_: str) -> bytes:
    """Keeps the connection open; a reader that resumes does not look again at what did not match."""
    return f": still here\nid: {id_}\n\n".encode()


def _event(name: str, data: Any, id_: str | None = None) -> bytes:
    """JSON holds no line break, so the data are one line."""
    head = f"id: {id_}\nevent: {name}\ndata: " if id_ is not None else f"event: {name}\ndata: "
    return head.encode() + _encoder.encode(data) + b"\n\n"
