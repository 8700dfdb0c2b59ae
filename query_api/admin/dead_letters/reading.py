"""Dead letters out of the store, as values and as they are shown.

One may be as large as a body may: its bytes are decoded, inflated and encoded in a thread, in portions, so that the
event loop is not kept waiting. Whoever asks for bytes does it in turn: see `query_api.admin.turns`.
"""

import asyncio
from base64 import b64decode, b64encode
from codecs import utf_8_decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ledger.bus import Position
from ledger.clock import from_milliseconds
from ledger.errors import Invalid
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Statement
from ledger.inflating import inflate
from ledger.report import decode
from ledger.settings import MAX_BODY_BYTES
from query_api.admin.dead_letters import statements
from query_api.admin.dead_letters.choosing import Choice, Place, State
from query_api.admin.dead_letters.schemas import Content, DeadLetterSummary, Header, Replay, WholeDeadLetter
from query_api.reading import Reader

SHOWN_INFLATED_BYTES = 1024 * 1024
_PORTION = 3 * 1024 * 1024  # of three and of four: such portions of base64 are base64


@dataclass(frozen=True, slots=True)
class Summary:
    """One dead letter without its bytes."""

    position: Position
    replays: int
    replayed: bool
    lacks_envelope: bool
    values: dict[str, Any]

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.values["dead_ms"], self.position)

    def shown(self) -> DeadLetterSummary:
        """As the API shows it."""
        values = self.values
        return DeadLetterSummary(
            position=self.position.text,
            project=values["project"] or None,
            record_id=values["record_id"] or None,
            event_id=values["event_id"] or None,
            kind=values["kind"] or None,
            reason=values["reason"],
            detail=values["detail"],
            error_class=values["error_class"] or None,
            first_dead_at=time_shown(values["first_dead_ms"]),
            dead_at=time_shown(values["dead_ms"]),
            attempts=self.replays + 1,
            state=State.REPLAYED if self.replayed else State.WAITING,
            size=values["size"],
        )


@dataclass(frozen=True, slots=True)
class Original:
    """What was read from the bus, byte for byte; None was not there."""

    key: bytes | None
    envelope: bytes | None
    body: bytes | None
    headers: tuple[tuple[str, bytes], ...]


async def summaries(reader: Reader, statement: Statement) -> list[Summary]:
    """What a statement on summaries finds."""
    return [_summary(row) for row in await reader.rows(statement)]


async def original(reader: Reader, position: Position, reach: Reach) -> Original | None:
    """The bytes of the dead letter at this position; None when there is none within reach."""
    found = await reader.rows(statements.whole(position, reach))
    return await asyncio.to_thread(_original, found[0]) if found else None


async def whole(reader: Reader, position: Position, reach: Reach) -> bytes | None:
    """All that is kept of it: a `WholeDeadLetter` as JSON; None when there is none within reach."""
    found = await summaries(reader, statements.page(Choice(position=position), reach, None, 1))
    packed = await reader.rows(statements.whole(position, reach))
    if not found or not packed:
        return None
    replays = await reader.rows(statements.replays(position))
    return await asyncio.to_thread(_shown_whole, found[0], packed[0], replays)


def time_shown(ms: int) -> str:
    """ISO 8601 with milliseconds and Z."""
    return from_milliseconds(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_headers = msgspec.json.Decoder(tuple[tuple[str, bytes], ...])  # bytes are base64 in JSON


def _summary(row: Sequence[Any]) -> Summary:
    *light, replayed = row
    values = dict(zip(statements.LIGHT_NAMES, light, strict=True))
    position = Position(values["generation"], values["partition"], values["offset"])
    return Summary(position, values["replays"], bool(replayed), bool(values["lacks_envelope"]), values)


def _original(packed: Sequence[Any]) -> Original:
    key, envelope, body, headers = packed
    return Original(_bytes(key), _bytes(envelope), _bytes(body), _headers.decode(headers))


def _shown_whole(summary: Summary, packed: Sequence[Any], replays: Sequence[Sequence[Any]]) -> bytes:
    values, bytes_of_it = summary.values, _original(packed)
    shown = WholeDeadLetter(
        dead_letter=summary.shown(),
        topic=values["topic"] or None,
        code_version=values["code_version"],
        key=_content(bytes_of_it.key),
        envelope=_content(bytes_of_it.envelope),
        body=_content(bytes_of_it.body),
        body_inflated=_inflated(bytes_of_it),
        headers=[Header(name, _base64(value)) for name, value in bytes_of_it.headers],
        replays=[Replay(number, time_shown(at), Position(*place).text) for number, at, *place in replays],
    )
    return msgspec.json.encode(shown)


def _bytes(text: str | None) -> bytes | None:
    if text is None:
        return None
    return b"".join(b64decode(text[start : start + _PORTION]) for start in range(0, len(text), _PORTION))


def _base64(data: bytes) -> str:
    return "".join(b64encode(data[start : start + _PORTION]).decode() for start in range(0, len(data), _PORTION))


def _content(data: bytes | None) -> Content | None:
    if data is None:
        return None
    try:
        return Content(len(data), data.decode(), None)
    except UnicodeDecodeError:
        return Content(len(data), None, _base64(data))


def _inflated(of: Original) -> Content | None:
    """The body as the sender meant it, where it came compressed."""
    try:
        encoding = decode(of.envelope or b"").content_encoding
        return _beginning(inflate(of.body or b"", encoding, MAX_BODY_BYTES)) if encoding else None
    except Invalid:
        return None


def _beginning(data: bytes) -> Content | None:
    first = data[:SHOWN_INFLATED_BYTES]
    if len(first) == len(data):
        return _content(data)
    try:
        return Content(len(data), utf_8_decode(first)[0], None, cut=True)  # without a character that was cut in two
    except UnicodeDecodeError:
        return Content(len(data), None, _base64(first), cut=True)
