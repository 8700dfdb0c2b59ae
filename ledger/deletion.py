"""Deletions: the events that remove records for good, and what the store remembers of each.

By id a deletion is final, wherever it stands among its record's events. By user or filter it goes to every partition of
the bus and means what was accepted before it there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

import msgspec

from ledger import report
from ledger.bus import Position, Record
from ledger.errors import Invalid
from ledger.filtering.filter_text import MAX_TEXT_BYTES, BadFilter, parse_filter
from ledger.filtering.filters import condition
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound
from ledger.ids import EventId, ProjectId, RecordId, from_int
from ledger.report import Envelope, Kind, bus_key
from ledger.request_log import RowKey


class Scope(StrEnum):
    """What names the records of a deletion."""

    ID = "id"
    USER = "user"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion at one place of the bus, and how far it is applied there."""

    project: ProjectId
    event_id: EventId
    position: Position
    scope: Scope
    what: str  # the id, the user's id, the filter's JSON text
    accepted_at: int  # milliseconds since 1970
    found: int = 0  # records that were deleted by it, in its partition
    applied: bool = False  # whether everything that was accepted before it in its partition is judged
    partitions: int = 1  # of the bus that it went to


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of what a deletion is about: at most `limit` rows after a key, in the order of keys."""

    limit: int
    after: RowKey | None = None
    partitions: int = 1  # that the deletion went to: each looks after its share of the rows of earlier generations
    among: Collection[RecordId] | None = None  # these records only, which are all the asking partition's
    sparing: bool = False  # look with little memory, which takes longer


class BadScope(Invalid):
    """A deletion needs either user_id, a text that is not empty, or filter, a filter with at least one rule."""


def record_deletion(
    project: ProjectId, record_id: RecordId, event_id: EventId, accepted_at: int, idempotency_key: str | None = None
) -> Record:
    """The event that deletes this record; to be published by its key."""
    envelope = _envelope(Kind.RECORD_DELETE, project, (record_id, event_id), accepted_at, idempotency_key)
    return Record(bus_key(project, record_id), report.encode(envelope), b"{}")


def scope_deletion(
    project: ProjectId, event_id: EventId, of: tuple[Scope, str], accepted_at: int, idempotency_key: str | None = None
) -> Record:
    """The event that deletes a user's records, or a filter's; to be broadcast. Raises `Invalid`."""
    check_what(*of, project)
    ids = RecordId(event_id), event_id
    envelope = _envelope(Kind.SCOPE_DELETE, project, ids, accepted_at, idempotency_key)
    return Record(bus_key(project, ids[0]), report.encode(envelope), _body(*of))


def read_scope(body: bytes, project: ProjectId) -> tuple[Scope, str]:
    """What the body of such an event names. Raises `Invalid` for what `scope_deletion` would not have written."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        of = _named(fields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadScope from error
    check_what(*of, project)
    return of


def check_what(scope: Scope, what: str, project: ProjectId) -> None:
    """Return when a deletion can name its records like this. Raises `Invalid`."""
    if scope is Scope.ID or not what:
        raise BadScope
    if scope is Scope.FILTER:
        clause(scope, what, Reach(project), Bound())
    elif len(what.encode()) > MAX_TEXT_BYTES:
        raise BadScope(f"user_id: is longer than {MAX_TEXT_BYTES} bytes")


def clause(scope: Scope, what: str, reach: Reach, bound: Bound) -> str:
    """The condition on `request_logs` that the scope's records fulfil. Raises `BadFilter`."""
    if scope is Scope.USER:
        return f"user_id = {bound.value(what, 'String')}"
    group = parse_filter(what)
    if group is None:
        raise BadFilter("filter: must have at least one rule")
    return condition(group, reach, bound)


def event_of(deletion: EventId, record_id: RecordId) -> EventId:
    """The id of a scope's deletion as an event of one of its records: the same however often it is applied."""
    digest = blake2b(f"{deletion}/{record_id}".encode(), digest_size=16, person=b"llmledger-delete").digest()
    return EventId(from_int(int.from_bytes(digest, "big")))


def _envelope(
    kind: Kind, project: ProjectId, ids: tuple[RecordId, EventId], accepted_at: int, idempotency_key: str | None
) -> Envelope:
    return Envelope(
        version=report.VERSION,
        record_id=ids[0],
        event_id=ids[1],
        kind=kind,
        project=project,
        accepted_at=accepted_at,
        created_at=accepted_at,
        price_version="",
        idempotency_key=idempotency_key,
    )


def _body(scope: Scope, what: str) -> bytes:
    if scope is Scope.USER:
        return msgspec.json.encode({"user_id": what})
    return msgspec.json.encode({"filter": msgspec.Raw(what.encode())})


def _named(fields: Mapping[str, msgspec.Raw]) -> tuple[Scope, str]:
    if fields.keys() == {"user_id"}:
        return Scope.USER, msgspec.json.decode(fields["user_id"], type=str)
    if fields.keys() == {"filter"}:
        return Scope.FILTER, bytes(fields["filter"]).decode()
    raise BadScope
