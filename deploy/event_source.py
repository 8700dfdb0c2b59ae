"""Bytes of server-sent events → events, as they come in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Without a name it only says how far everything was seen, or that the other side is still there."""

    name: str
    data: str
    id: str | None  # the last one that was told; None before there was any


def events_of(parts: Iterable[bytes], most_bytes: int = MAX_EVENT_BYTES) -> Iterator[Event]:
    """The events in these parts of a stream; one that the end cuts off is none. Raises `ValueError` for a huge one."""
    block: dict[str, str] = {}
    id_: str | None = None
    for line in _lines(parts, most_bytes):
        name, _, value = line.partition(":")
        if line == "":
            id_ = block.get("id", id_)
            yield Event(block.get("event", ""), block.get("data", ""), id_)
            block = {}
        elif name in ("id", "event", "data"):  # an event of ours has one line of data
            block[name] = value.removeprefix(" ")


def _lines(parts: Iterable[bytes], most_bytes: int) -> Iterator[str]:
    """Split at line feeds alone: other characters that end lines somewhere may stand in the data."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > most_bytes:
            raise ValueError(f"an event is longer than {most_bytes} bytes")
        for line in lines:
            yield line.decode("utf-8", "replace")
