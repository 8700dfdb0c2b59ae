"""What is shown of dead letters. Times are ISO 8601, positions as in the header `LLMLedger-Position`."""

import msgspec

from query_api.admin.dead_letters.choosing import State


class DeadLetterSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One record that could not become a row. What its envelope does not tell is null."""

    position: str  # of its acceptance
    project: str | None
    record_id: str | None
    event_id: str | None
    kind: str | None
    reason: str
    detail: str
    error_class: str | None
    first_dead_at: str
    dead_at: str
    attempts: int  # how often it has died
    state: State
    size: int  # bytes of the body


class DeadLetterPage(msgspec.Struct, frozen=True):
    """The latest deaths first; `next_cursor` is null on the last page."""

    dead_letters: list[DeadLetterSummary]
    next_cursor: str | None


class Content(msgspec.Struct, frozen=True):
    """Bytes: as text where they are UTF-8, else in base64."""

    size: int  # of all of them, also where they are cut
    text: str | None
    base64: str | None
    cut: bool = False  # whether only the beginning is shown


class Header(msgspec.Struct, frozen=True):
    """A header that the record had beside its envelope."""

    name: str
    value_base64: str


class Replay(msgspec.Struct, frozen=True):
    """One time that the record was put on the bus again."""

    number: int
    replayed_at: str
    position: str


class WholeDeadLetter(msgspec.Struct, frozen=True):
    """All that is kept of a dead letter, byte for byte."""

    dead_letter: DeadLetterSummary
    topic: str | None  # the bus that it was read from
    code_version: str
    key: Content | None
    envelope: Content | None
    body: Content | None
    body_inflated: Content | None  # where the body is compressed and can be read; at most its first MiB
    headers: list[Header]
    replays: list[Replay]


class ReasonCount(msgspec.Struct, frozen=True):
    """The dead letters of one project and reason."""

    project: str | None
    reason: str
    waiting: int
    replayed: int
    first_dead_at: str
    last_dead_at: str


class DeadLetterCounts(msgspec.Struct, frozen=True):
    """How many there are, by project and reason."""

    counts: list[ReasonCount]


class Skipped(msgspec.Struct, frozen=True):
    """A dead letter that was meant and not replayed."""

    position: str
    why: str


class ReplayResult(msgspec.Struct, frozen=True):
    """`positions`: where each replayed one is on the bus now; null after a dry run, which replays none."""

    matched: int  # all that the conditions mean, beyond the limit too
    replayed: int
    skipped: list[Skipped]
    positions: dict[str, str | None]
