"""THE EVENT CONTRACT: what `ingest_api` puts on the bus beside a report's own bytes, and `workers` read back.

The envelope travels in a header, the body is the record's value, byte for byte as it came. Evolution is additive only:
a reader accepts the version before its own and the one after it, and stops at any other, so that a record of the future
waits for the program that understands it. It never carries a credential.
"""

from enum import StrEnum

import msgspec

from ledger.errors import Invalid, UnknownVersion
from ledger.ids import EventId, ProjectId, RecordId

VERSION = 2
"""Of the envelopes that this program writes. 2 brought the deletions: a program of version 1 waits at one."""

CLAIM_VERSION = 3
"""Of an envelope that names a claim. Version 2 knew no claims and cannot read the form of one, so it waits here."""

FIRST_VERSION = 1


class Kind(StrEnum):
    """Which API a report came through, and so how its body is read."""

    OPENPIPE_REPORT = "openpipe.report"
    OPENPIPE_REPORT_ANTHROPIC = "openpipe.report-anthropic"
    PEZZO_REQUEST = "pezzo.request"
    LOG_INSERT = "log.insert"
    LOG_UPDATE = "log.update"
    RECORD_DELETE = "record.delete"
    SCOPE_DELETE = "scope.delete"

    @property
    def is_update(self) -> bool:
        """Whether the event changes a record that another event made."""
        return self is Kind.LOG_UPDATE

    @property
    def is_deletion(self) -> bool:
        """Whether the event removes records, for good."""
        return self in (Kind.RECORD_DELETE, Kind.SCOPE_DELETE)


class Claim(msgspec.Struct, frozen=True):
    """Where a body is that was too large for the bus."""

    name: str  # in the blob store
    size: int  # bytes


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What acceptance decided about one event; nothing after it may decide these again."""

    version: int
    record_id: RecordId
    event_id: EventId
    kind: Kind
    project: ProjectId
    accepted_at: int  # milliseconds since 1970, UTC
    created_at: (
        int  # milliseconds since 1970, UTC; part of the row's identity. Of an update: the time of its acceptance
    )
    price_version: str
    idempotency_key: str | None = None
    content_encoding: str | None = None  # of the body: gzip, zstd or None
    blob: Claim | str | None = None  # where the body is, when it is not in the record; a bare name was never written


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
_version_decoder = msgspec.json.Decoder(dict[str, object])


def encode(envelope: Envelope) -> bytes:
    """The envelope's wire form."""
    return _encoder.encode(envelope)


def decode(wire: bytes) -> Envelope:
    """The envelope of these bytes. Raises `Invalid` when it is none, `UnknownVersion` when it is of another era."""
    try:
        envelope = _decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _raise_if_of_another_era(wire)
        raise Invalid("The record's envelope cannot be read.") from error
    if envelope.version < FIRST_VERSION:
        raise Invalid(f"There was never an envelope of version {envelope.version}.")
    if not VERSION - 1 <= envelope.version <= VERSION + 1:
        raise UnknownVersion(f"The record has envelope version {envelope.version}, this program reads {VERSION}.")
    return envelope


def _raise_if_of_another_era(wire: bytes) -> None:
    try:
        version = _version_decoder.decode(wire).get("version")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(version, int) and version > VERSION:
        raise UnknownVersion(f"The record has envelope version {version}, this program reads {VERSION}.")


def bus_key(project: ProjectId, record_id: RecordId) -> bytes:
    """All events of one record share this key, so they are read in the order of their acceptance."""
    return f"{project}/{record_id}".encode()
