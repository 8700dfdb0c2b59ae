"""Dead letters out of the store, as values and as they are shown."""

from base64 import b64decode, b64encode
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
    if not found:
        return None
    key, envelope, body, headers = found[0]
    return Original(_bytes(key), _bytes(envelope), _bytes(body), _headers.decode(headers))


async def whole(reader: Reader, position: Position, reach: Reach) -> WholeDeadLetter | None:
    """All that is kept of it; None when there is none within reach."""
    choice = Choice(position=position)
    found = await summaries(reader, statements.page(choice, reach, None, 1))
    bytes_of_it = await original(reader, position, reach)
    if not found or bytes_of_it is None:
        return None
    values = found[0].values
    replays = await reader.rows(statements.replays(position))
    return WholeDeadLetter(
        dead_letter=found[0].shown(),
        topic=values["topic"] or None,
        code_version=values["code_version"],
        key=_content(bytes_of_it.key),
        envelope=_content(bytes_of_it.envelope),
        body=_content(bytes_of_it.body),
        body_inflated=_inflated(bytes_of_it),
        headers=[Header(name, b64encode(value).decode()) for name, value in bytes_of_it.headers],
        replays=[Replay(number, time_shown(at), Position(*place).text) for number, at, *place in replays],
    )


def time_shown(ms: int) -> str:
    """ISO 8601 with milliseconds and Z."""
    return from_milliseconds(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_headers = msgspec.json.Decoder(tuple[tuple[str, bytes], ...])  # bytes are base64 in JSON


def _summary(row: Sequence[Any]) -> Summary:
    *light, replayed = row
    values = dict(zip(statements.LIGHT_NAMES, light, strict=True))
    position = Position(values["generation"], values["partition"], values["offset"])
    return Summary(position, values["replays"], bool(replayed), bool(values["lacks_envelope"]), values)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def _content(data: bytes | None) -> Content | None:
    if data is None:
        return None
    try:
        return Content(len(data), data.decode(), None)
    except UnicodeDecodeError:
        return Content(len(data), None, b64encode(data).decode())


def _inflated(of: Original) -> Content | None:
    """The body as the sender meant it, where it came compressed."""
    try:
        encoding = decode(of.envelope or b"").content_encoding
        return _content(inflate(of.body or b"", encoding, MAX_BODY_BYTES)) if encoding else None
    except Invalid:
        return None
