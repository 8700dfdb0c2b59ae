"""Bodies as nearly all of them are, judged in one typed pass: a fifth of the cost of judging them field by field.

What is not read here (a number as text, a body beyond a size, anything that is wrong) is not refused for it: it is
judged by the judge of its kind, who says exactly what is wrong. Whatever is read here that judge accepts as well, with
the same result. Nothing of a payload is built. The text of the body has to be checked before.
"""

from typing import TypeVar

import msgspec

from ingest_api.slicing import FEW_KEYS_BELOW_BYTES
from ledger.dialects import log_entries, pezzo
from ledger.dialects.pezzo import Calculated
from ledger.instants import epoch_ms, iso_ms

T = TypeVar("T")

Number = int | float | None
Text = str | None
Tags = dict[str, str | int | float | bool | None] | msgspec.UnsetType


class AnyObject(msgspec.Struct):
    """A JSON object of whatever content."""


class Report(msgspec.Struct):
    """A report of the OpenPipe family."""

    requestedAt: Number = None
    receivedAt: Number = None
    statusCode: Number = None
    errorMessage: Text = None
    tags: Tags = msgspec.UNSET
    metadata: Tags = msgspec.UNSET

    @property
    def requested_at_ms(self) -> int | None:
        """When the call was made, in milliseconds since 1970; None when not told or not storable."""
        return epoch_ms(self.requestedAt)


class _Metadata(msgspec.Struct):
    provider: str
    client: str
    clientVersion: str
    environment: str
    promptId: Text = None
    promptVersionSha: Text = None
    type: Text = None


class _Request(msgspec.Struct):
    timestamp: str
    body: AnyObject


class _Reply(msgspec.Struct):
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Response(msgspec.Struct):
    timestamp: str
    body: _Reply | None = None
    status: int | None = None


class PezzoReport(msgspec.Struct):
    """A report of the Pezzo family."""

    metadata: _Metadata
    request: _Request
    response: _Response
    properties: AnyObject | None = None
    cacheEnabled: bool | None = False
    cacheHit: bool | None = False

    def times(self) -> tuple[int, int] | None:
        """Of request and reply, in milliseconds since 1970; None unless both are times that can be stored."""
        started, ended = iso_ms(self.request.timestamp), iso_ms(self.response.timestamp)
        return None if started is None or ended is None else (started, ended)

    def calculated(self, times: tuple[int, int]) -> Calculated:
        """The figures that are answered."""
        reply = self.response.body
        usage = msgspec.UNSET if reply is None else reply.usage
        return pezzo.calculated(*times, None if usage is msgspec.UNSET else usage)

    @property
    def is_sound(self) -> bool:
        """Whether the provider is a known one."""
        return self.metadata.provider.lower() in _PROVIDERS


class LogEntry(msgspec.Struct):
    """A log entry without media, or changes of one."""

    model: Text = None
    duration: Number = None
    initiator: Text = None
    description: Text = None
    request_data: AnyObject | None = None
    response_data: AnyObject | None = None
    metadata: AnyObject | None = None
    cost: Number = None
    media: None = None

    @property
    def is_sound(self) -> bool:
        """Whether text and figures are such that the store can hold them."""
        duration = self.duration is None or 0 <= self.duration <= log_entries.MAX_DURATION_SECONDS
        cost = self.cost is None or 0 <= self.cost <= log_entries.MAX_COST_USD
        return duration and cost and self.model != ""


class LogUpdate(msgspec.Struct):
    """Changes of the log entry of that id."""

    id: str
    update_data: LogEntry


_PROVIDERS = frozenset(name.lower() for name in pezzo.PROVIDERS)

_reports = msgspec.json.Decoder(Report)
_pezzo_reports = msgspec.json.Decoder(PezzoReport)
_log_entries = msgspec.json.Decoder(LogEntry)
_log_updates = msgspec.json.Decoder(LogUpdate)


def report(body: bytes) -> Report | None:
    """The report, when it is a usual one."""
    return _read(_reports, body)


def pezzo_report(body: bytes) -> PezzoReport | None:
    """The report, when it is a usual one."""
    told = _read(_pezzo_reports, body)
    return told if told is not None and told.is_sound else None


def log_entry(body: bytes) -> LogEntry | None:
    """The entry, when it is a usual one."""
    told = _read(_log_entries, body)
    return told if told is not None and told.model and told.is_sound else None


def log_update(body: bytes) -> LogUpdate | None:
    """The update, when it is a usual one."""
    told = _read(_log_updates, body)
    return told if told is not None and told.id and told.update_data.is_sound else None


def _read(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    if len(body) > FEW_KEYS_BELOW_BYTES:  # below it no field can be too large and the keys cannot be too many
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
