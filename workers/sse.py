"""Server-sent events: from the raw text of a stream to the JSON objects in it.

The text is whatever arrived, so it may be cut anywhere or be no stream at all. What is not a JSON object is left out.
"""

from collections.abc import Iterator

import msgspec

from workers.counts import Json


def objects_in(text: str) -> Iterator[Json]:
    """The JSON objects in the events' data, in order. Any text gives an answer, never an exception.

    A text without any event that is JSON itself counts as its objects: servers refuse a stream in that way.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found_event = False
    for data in _events(lines):
        found_event = True
        yield from _parsed(data)
    if not found_event:
        yield from _objects(_json(text))


def _events(lines: list[str]) -> Iterator[list[str]]:
    """The lines of data of each event. The last one counts also when the blank line after it is missing."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line == "data":
            data.append("")
        elif not line and data:
            yield data
            data = []
    if data:
        yield data


def _parsed(data: list[str]) -> Iterator[Json]:
    """The objects of one event; each line on its own when together they are no JSON (recorders drop blank lines)."""
    value = _json("\n".join(data))
    if value is None and len(data) > 1:
        for line in data:
            yield from _objects(_json(line))
    else:
        yield from _objects(value)


def _objects(value: object) -> list[Json]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def _json(text: str) -> object:
    """The value, or None when it is no JSON: `[DONE]`, or the rest of a stream that was cut."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
